package fleet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// saying returns a status with this Ready condition.
func saying(status metav1.ConditionStatus, reason, message string) v1alpha1.TenantStatus {
	return v1alpha1.TenantStatus{Conditions: []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message,
	}}}
}

// using returns the status of a Ready tenant with this many pods.
func using(pods string) v1alpha1.TenantStatus {
	status := saying(metav1.ConditionTrue, v1alpha1.ReasonReady, "Everything is in place.")
	status.Usage = &v1alpha1.TenantUsage{Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}}
	return status
}

var (
	pending   = saying(metav1.ConditionUnknown, v1alpha1.ReasonPending, "Waiting for the operator.")
	rolling   = saying(metav1.ConditionFalse, v1alpha1.ReasonProgressing, "The app is being rolled out.")
	halfway   = saying(metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 2 replicas are available.")
	conflict  = saying(metav1.ConditionFalse, v1alpha1.ReasonConflict, "Something is in the way.")
	isReady   = saying(metav1.ConditionTrue, v1alpha1.ReasonReady, "Everything is in place.")
	terminate = saying(metav1.ConditionFalse, v1alpha1.ReasonTerminating, "The namespace is being deleted.")
)

func TestHowLongAStatusMayWait(t *testing.T) {
	renamed := using("2")
	renamed.Database = &v1alpha1.TenantDatabaseStatus{Server: "other"}
	for _, test := range []struct {
		name    string
		was, is v1alpha1.TenantStatus
		want    time.Duration
	}{
		{"a new tenant is Ready at once", pending, isReady, 0},
		{"a new tenant gets on", pending, rolling, ProgressInterval},
		{"a tenant gets on", rolling, halfway, ProgressInterval},
		{"a tenant becomes Ready", halfway, isReady, 0},
		{"a tenant that was Ready changes", isReady, rolling, ProgressInterval},
		{"something goes wrong", isReady, conflict, 0},
		{"what was wrong is over, and the tenant gets on", conflict, rolling, ProgressInterval},
		{"a tenant is being deleted", isReady, terminate, 0},
		{"another usage", using("1"), using("2"), UsageInterval},
		{"usage for the first time", isReady, using("2"), UsageInterval},
		{"another usage, and more", using("1"), renamed, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := patience(test.was, test.is); got != test.want {
				t.Errorf("it may wait %v, want %v", got, test.want)
			}
		})
	}
}

func TestAStatusIsWrittenWhenItHasWaitedLongEnough(t *testing.T) {
	start := time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)
	type step struct {
		at      time.Duration
		tenant  types.UID
		was, is v1alpha1.TenantStatus
		want    time.Duration
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"progress is written after a while, however often there is some", []step{
			{0, "acme", pending, rolling, ProgressInterval},
			{ProgressInterval - time.Second, "acme", pending, halfway, time.Second},
			{ProgressInterval, "acme", pending, rolling, 0},
			{ProgressInterval + time.Second, "acme", pending, rolling, 0},
		}},
		{"a tenant that becomes Ready meanwhile does not wait", []step{
			{0, "acme", pending, rolling, ProgressInterval},
			{time.Second, "acme", pending, isReady, 0},
		}},
		{"each tenant waits for itself", []step{
			{0, "acme", pending, rolling, ProgressInterval},
			{time.Second, "globex", pending, rolling, ProgressInterval},
			{ProgressInterval, "acme", pending, rolling, 0},
			{ProgressInterval, "globex", pending, rolling, time.Second},
		}},
		{"another usage may wait longer", []step{
			{0, "acme", using("1"), using("2"), UsageInterval},
			{ProgressInterval, "acme", using("1"), using("3"), UsageInterval - ProgressInterval},
			{UsageInterval, "acme", using("1"), using("3"), 0},
		}},
		{"progress does not wait for what a usage has to", []step{
			{0, "acme", using("1"), using("2"), UsageInterval},
			{time.Second, "acme", using("1"), rolling, ProgressInterval - time.Second},
			{ProgressInterval, "acme", using("1"), rolling, 0},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var pace Pace
			for i, step := range test.steps {
				if got := pace.Wait(step.tenant, step.was, step.is, start.Add(step.at)); got != step.want {
					t.Errorf("step %d, at %v: it may wait %v, want %v", i, step.at, got, step.want)
				}
			}
		})
	}
}

func TestAfterAWriteTheWaitBeginsAnew(t *testing.T) {
	start := time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)
	var pace Pace
	pace.Wait("acme", pending, rolling, start)
	pace.written("acme", start)
	if got := pace.Wait("acme", rolling, halfway, start.Add(time.Hour)); got != ProgressInterval {
		t.Errorf("the next step may wait %v, want %v", got, ProgressInterval)
	}
	pace.written("nobody", start)
	if len(pace.tenants) != 1 {
		t.Errorf("it remembers %d tenants, want 1", len(pace.tenants))
	}
}

func TestAUsageWaitsFromWhenItChanged(t *testing.T) {
	start := time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		act  func(*Pace)
		want time.Duration
	}{
		{"nobody looked at the tenant in the meantime", func(p *Pace) {
			p.usageChanged("acme", start)
		}, 0},
		{"it changed again", func(p *Pace) {
			p.usageChanged("acme", start)
			p.usageChanged("acme", start.Add(UsageInterval/2))
		}, 0},
		{"a pass that had looked before wrote the status after", func(p *Pace) {
			p.usageChanged("acme", start)
			p.written("acme", start.Add(-time.Second))
		}, 0},
		{"it changed again after the look that was written", func(p *Pace) {
			p.usageChanged("acme", start.Add(-UsageInterval))
			p.usageChanged("acme", start.Add(time.Second))
			p.written("acme", start)
		}, time.Second},
		{"a pass has written it", func(p *Pace) {
			p.usageChanged("acme", start)
			p.written("acme", start)
		}, UsageInterval},
	} {
		t.Run(test.name, func(t *testing.T) {
			var pace Pace
			test.act(&pace)
			if got := pace.Wait("acme", using("1"), using("2"), start.Add(UsageInterval)); got != test.want {
				t.Errorf("it may wait %v more, want %v", got, test.want)
			}
		})
	}
}
