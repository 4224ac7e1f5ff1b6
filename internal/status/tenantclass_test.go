package status_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

// at returns the observation of a tenant at the revision "new", of which its status says that it is at another one,
// or Ready at this one since it was created.
func at(t *testing.T, revision string, deployment *builders.DeploymentBuilder, pods ...*builders.PodBuilder) status.Observation {
	t.Helper()
	o := inPlace(t, builders.Tenant("acme").App(image).Replicas(2))
	o.Tenant.Class = &effective.Class{Name: "gold", Revision: "new"}
	o.Tenant.Status.Class = &v1alpha1.TenantStatusClass{
		Name: "gold", Revision: revision, AssignedAt: metav1.NewTime(created), ReadyAt: new(metav1.NewTime(created)),
	}
	o.Tenant.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}}
	o.Deployment, o.Now = deployment.Build(), later
	for _, pod := range pods {
		o.Pods = append(o.Pods, *pod.Build())
	}
	return o
}

func TestSinceWhenATenantIsReadyAtItsRevision(t *testing.T) {
	app := func(total, updated, available int32) *builders.DeploymentBuilder {
		return builders.Deployment("acme", "app", 2).Pods(total, updated, available)
	}
	pod := func() *builders.PodBuilder { return builders.Pod("acme", "app-1").CreatedAt(created) }
	failing := at(t, "new", app(2, 2, 1))
	failing.Tenant.Status.Conditions[0].Status = metav1.ConditionFalse
	failing.Tenant.Status.Class.ReadyAt = nil
	scaled := at(t, "new", app(2, 2, 2))
	scaled.Tenant.Status.Conditions[0].Status = metav1.ConditionFalse
	unnoted := at(t, "new", app(2, 2, 2))
	unnoted.Tenant.Status.Class.ReadyAt = nil
	recovered := at(t, "new", app(2, 2, 2))
	recovered.Tenant.Status.Conditions[0].Status, recovered.Tenant.Status.Class.ReadyAt = metav1.ConditionFalse, nil
	for _, test := range []struct {
		name string
		o    status.Observation
		want time.Time
	}{
		{"since then if nothing has changed", at(t, "new", app(2, 2, 2)), created},
		{"since now at another revision", at(t, "old", app(2, 2, 2)), later},
		{"not during a rollout to another revision", at(t, "old", app(3, 1, 2)), time.Time{}},
		{"not during a rollout at the same revision", at(t, "new", app(3, 1, 2)), time.Time{}},
		{"since then while further pods start", at(t, "new", app(2, 2, 1)), created},
		{"since then while pods end that are too many", at(t, "new", app(4, 4, 4)), created},
		{"since then once it has been scaled", scaled, created},
		{"not while a pod has ended", at(t, "new", app(2, 2, 1), pod().Waiting("app", "CrashLoopBackOff", "back-off").Restarted(1, 1, "Error")), time.Time{}},
		{"not before it is Ready again", failing, time.Time{}},
		{"since now once it is Ready again", recovered, later},
		{"since nobody knows when for one that was Ready before it was noted", unnoted, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			class := status.Of(test.o).Class
			var got time.Time
			if class.ReadyAt != nil {
				got = class.ReadyAt.Time
			}
			if !got.Equal(test.want) || class.Revision != "new" || !class.AssignedAt.Time.Equal(created) {
				t.Errorf("it is ready since %s at %+v, want %s", got, class, test.want)
			}
		})
	}
}

func TestATenantThatCanNotHaveARevisionIsAtItNevertheless(t *testing.T) {
	o := at(t, "old", builders.Deployment("acme", "app", 2))
	got := status.Failing(o, problem.Of(&effective.InvalidError{Class: "gold", Message: "no"}))
	if got.Class.Revision != "new" || got.Class.ReadyAt != nil {
		t.Errorf("it is at %+v", got.Class)
	}
	o.Tenant.Class = nil // The class is gone.
	if got = status.Failing(o, problem.Of(&effective.InvalidError{Class: "gold", Message: "no"})); got.Class.Revision != "old" {
		t.Errorf("it is at %+v", got.Class)
	}
}

func TestWhatAClassSaysAboutItsRelease(t *testing.T) {
	flights := func(n int) (entries []v1alpha1.TenantClassAssignment) {
		for i := range n {
			entries = append(entries, v1alpha1.TenantClassAssignment{Name: fmt.Sprint("t", i), Revision: "gold-2"})
		}
		return entries
	}
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("t%02d", i)
	}
	for _, test := range []struct {
		name    string
		release status.ClassRelease
		want    string // status, reason and whether it is stalled
		message string
	}{
		{"none under way", status.ClassRelease{Complete: true}, "True Ready false", "8 of 10 tenants are ready."},
		{"some on the way", status.ClassRelease{Updated: 3, InFlight: flights(2)}, "False Progressing false", "gold-2 has reached 3 of 10 tenants, and 2 of them are on the way."},
		{"paused", status.ClassRelease{Updated: 3, Paused: true}, "False Paused false", "gold-2 has reached 3 of 10 tenants. It is paused; it goes on without spec.rollout.paused."},
		{
			"outside of its windows", status.ClassRelease{Opens: later}, "False WindowClosed false",
			"gold-2 has reached 0 of 10 tenants. It goes on at 2026-03-01T10:00:00Z, when its next window opens.",
		},
		{
			"tolerated failures", status.ClassRelease{Updated: 1, InFlight: flights(1), Failing: []string{"t0"}, States: []string{"No image."}}, "False Progressing false",
			"gold-2 has reached 1 of 10 tenants, and 1 of them is on the way. There is 1 that has failed, which spec.rollout.maxFailures allows. t0: No image.",
		},
		{
			"stopped", status.ClassRelease{Updated: 1, InFlight: flights(1), Failing: []string{"t0"}, States: []string{"No image."}, Stopped: true}, "False ReleaseStopped true",
			"The release has stopped: gold-2 has reached 1 of 10 tenants, and 1 of them is on the way, and 1 has failed. It goes on once they are Ready; to take it back, give spec.tenant its former content. t0: No image.",
		},
		{
			"stopped by many", status.ClassRelease{Failing: many, States: slices.Repeat([]string{strings.Repeat("x", 600)}, 30), Stopped: true}, "False ReleaseStopped true",
			"The release has stopped: gold-2 has reached 0 of 10 tenants, and 30 have failed. It goes on once they are Ready; to take it back, give spec.tenant its former content." +
				fmt.Sprintf(" t00: %[1]s… t01: %[1]s… t02: %[1]s…", strings.Repeat("x", 500)),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
			class.Status.StableRevision = "gold-1"
			got := status.OfClass(status.ClassObservation{Class: class, Revision: "gold-2", Tenants: 10, Ready: 8, Release: test.release, Now: created})
			ready := apimeta.FindStatusCondition(got.Conditions, v1alpha1.ConditionReady)
			said := fmt.Sprintf("%s %s %t", ready.Status, ready.Reason, apimeta.IsStatusConditionTrue(got.Conditions, v1alpha1.ConditionStalled))
			if said != test.want || ready.Message != test.message {
				t.Errorf("it is %s, %s\nwant %s, %s", said, ready.Message, test.want, test.message)
			}
			if stable := map[bool]string{true: "gold-2", false: "gold-1"}[test.release.Complete]; got.StableRevision != stable {
				t.Errorf("stable is %s, want %s", got.StableRevision, stable)
			}
			if len(got.Failing) > 20 || int(*got.Failed) != len(test.release.Failing) {
				t.Errorf("failing are %v, %d in all", got.Failing, *got.Failed)
			}
		})
	}
}
