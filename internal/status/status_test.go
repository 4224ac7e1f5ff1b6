package status_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

const image = "registry.example/acme/shop:1.4.2"

var (
	created = time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)
	later   = created.Add(time.Hour)
)

// complete returns a tenant that uses all features.
func complete() *builders.TenantBuilder {
	return builders.Tenant("acme").Quota(corev1.ResourcePods, "10").
		Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).Database("shared").App(image).Replicas(2).Port(8080)
}

// inPlace returns the observation of a tenant with all parts in place.
func inPlace(t *testing.T, tenant *builders.TenantBuilder, changes ...func(*status.Observation)) status.Observation {
	t.Helper()
	o := status.Observation{
		Observation: parts.Observation{
			Tenant:   builders.Effective(t, tenant.Build()),
			Problems: map[string]problem.Problem{},
			Now:      created, TroubledSince: created,
		},
	}
	if o.Tenant.Spec.Database != nil {
		o.Database = &v1alpha1.TenantDatabaseStatus{
			Server: "shared", Isolation: v1alpha1.DatabaseIsolationDatabase, Name: "t_brewsrmdqcfqkxdoaomm",
			Host: "pg.example", ConnectionLimit: 20, SecretName: "database", CredentialsRevision: "0123456789abcdef",
		}
	}
	if len(o.Tenant.Spec.Quota) > 0 {
		o.Quota = &corev1.ResourceQuota{
			Spec:   corev1.ResourceQuotaSpec{Hard: o.Tenant.Spec.Quota},
			Status: corev1.ResourceQuotaStatus{Hard: o.Tenant.Spec.Quota, Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}},
		}
	}
	if app := o.Tenant.Spec.App; app != nil {
		o.Deployment = builders.Deployment("acme", "app", *app.Replicas).Pods(*app.Replicas, *app.Replicas, *app.Replicas).Build()
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

// trouble keeps a part from being in place.
func trouble(condition, reason string, stalled bool) func(*status.Observation) {
	return func(o *status.Observation) {
		o.Problems[condition] = problem.Problem{Reason: reason, Message: condition + ": " + reason + ".", Stalled: stalled}
	}
}

// rollingOut makes too few pods of the app available, for no known reason.
func rollingOut(o *status.Observation) {
	o.Deployment = builders.Deployment("acme", "app", 2).Pods(2, 2, 1).Build()
}

// conditions returns the status and the reason of each condition.
func conditions(list []metav1.Condition) map[string]string {
	result := map[string]string{}
	for _, condition := range list {
		result[condition.Type] = string(condition.Status) + " " + condition.Reason
	}
	return result
}

// stored returns an object as the API server stores it.
func stored[T any](t *testing.T, object T) T {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var result T
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func condition(t *testing.T, list []metav1.Condition, kind string) metav1.Condition {
	t.Helper()
	found := apimeta.FindStatusCondition(list, kind)
	if found == nil {
		t.Fatalf("there is no condition %s among %v", kind, conditions(list))
	}
	return *found
}

func TestTheConditionsOfATenant(t *testing.T) {
	bare := map[string]string{
		"Ready": "True Ready", "NamespaceReady": "True Ready", "QuotaReady": "True Ready", "NetworkReady": "True Ready",
		"AccessReady": "True Ready",
	}
	for _, test := range []struct {
		name        string
		observation status.Observation
		want        map[string]string // what differs from bare
	}{
		{"a name alone, in place", inPlace(t, builders.Tenant("acme")), nil},
		{
			"everything, in place", inPlace(t, complete()),
			map[string]string{"DatabaseReady": "True Ready", "AppReady": "True Ready"},
		},
		{
			"an app of zero replicas is Ready", inPlace(t, builders.Tenant("acme").App(image).Replicas(0)),
			map[string]string{"AppReady": "True ScaledToZero"},
		},
		{
			"an app that is being rolled out", inPlace(t, complete(), rollingOut),
			map[string]string{
				"DatabaseReady": "True Ready", "AppReady": "False Progressing", "Ready": "False Progressing", "Reconciling": "True Progressing",
			},
		},
		{
			"a server that is down holds up the database alone",
			inPlace(t, complete(), trouble("DatabaseReady", "ServerNotReady", false)),
			map[string]string{
				"DatabaseReady": "False ServerNotReady", "AppReady": "True Ready", "Ready": "False ServerNotReady",
				"Reconciling": "True ServerNotReady",
			},
		},
		{
			"an object in the way waits for somebody",
			inPlace(t, complete(), trouble("NetworkReady", "Conflict", true)),
			map[string]string{
				"NetworkReady": "False Conflict", "DatabaseReady": "True Ready", "AppReady": "True Ready",
				"Ready": "False Conflict", "Stalled": "True Conflict",
			},
		},
		{
			"a failed request is tried again",
			inPlace(t, builders.Tenant("acme"), trouble("AccessReady", "Failed", false)),
			map[string]string{"AccessReady": "False Failed", "Ready": "False Failed", "Reconciling": "True Failed"},
		},
		{
			"what the API server refuses as invalid waits for somebody",
			inPlace(t, builders.Tenant("acme"), trouble("QuotaReady", "Invalid", true)),
			map[string]string{"QuotaReady": "False Invalid", "Ready": "False Invalid", "Stalled": "True Invalid"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := map[string]string{}
			maps.Copy(want, bare)
			maps.Copy(want, test.want)
			result := status.Of(test.observation)
			if got := conditions(result.Conditions); !equality.Semantic.DeepEqual(got, want) {
				t.Error(diff.Diff(want, got))
			}
			checkConditions(t, result.Conditions, 1)
		})
	}
}

// checkConditions validates conditions with the API server's own code.
func checkConditions(t *testing.T, list []metav1.Condition, generation int64) {
	t.Helper()
	if errs := metav1validation.ValidateConditions(list, field.NewPath("conditions")); len(errs) > 0 {
		t.Error(errs)
	}
	for _, condition := range list {
		if condition.ObservedGeneration != generation {
			t.Errorf("%s is about generation %d, not %d", condition.Type, condition.ObservedGeneration, generation)
		}
	}
}

func TestWhatReadySaysIsWhatHelpsMost(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []func(*status.Observation)
		want    string
	}{
		{"nothing is wrong", nil, "Everything is in place."},
		{"one thing is wrong", []func(*status.Observation){trouble("AccessReady", "Failed", false)}, "AccessReady: Failed."},
		{
			"what is wrong comes before what takes its time",
			[]func(*status.Observation){trouble("NamespaceReady", "Progressing", false), trouble("DatabaseReady", "ServerNotReady", false)},
			"DatabaseReady: ServerNotReady.",
		},
		{
			"what waits for somebody comes before what is tried again",
			[]func(*status.Observation){trouble("QuotaReady", "Failed", false), trouble("DatabaseReady", "ServerFull", true)},
			"DatabaseReady: ServerFull.",
		},
		{
			"of two that wait for somebody, the earlier part",
			[]func(*status.Observation){trouble("DatabaseReady", "ServerFull", true), trouble("NetworkReady", "Conflict", true)},
			"NetworkReady: Conflict.",
		},
		{
			"of two that are tried again, the earlier part",
			[]func(*status.Observation){trouble("AppReady", "Failed", false), trouble("AccessReady", "Forbidden", false)},
			"AccessReady: Forbidden.",
		},
		{
			"of two that take their time, the earlier part",
			[]func(*status.Observation){rollingOut, trouble("DatabaseReady", "Progressing", false)},
			"DatabaseReady: Progressing.",
		},
		{
			"an app without its database: the database",
			[]func(*status.Observation){trouble("DatabaseReady", "ServerNotFound", false), func(o *status.Observation) {
				o.Deployment = nil
			}},
			"DatabaseReady: ServerNotFound.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := status.Of(inPlace(t, complete(), test.changes...)).Conditions
			ready := condition(t, list, "Ready")
			if ready.Message != test.want {
				t.Errorf("Ready says %q, want %q", ready.Message, test.want)
			}
			for _, kind := range []string{"Reconciling", "Stalled"} {
				abnormal := apimeta.FindStatusCondition(list, kind)
				if abnormal != nil && (abnormal.Reason != ready.Reason || abnormal.Message != ready.Message) {
					t.Errorf("%s says %q, and Ready says %q", kind, abnormal.Message, ready.Message)
				}
			}
		})
	}
}

func TestWhatIsAboutNoPartStandsInReadyAlone(t *testing.T) {
	failure := &problem.Problem{Reason: v1alpha1.ReasonFailed, Message: "The API server does not answer."}
	inTheWay := trouble("NetworkReady", "Conflict", true)
	for _, test := range []struct {
		name    string
		changes []func(*status.Observation)
		want    string
	}{
		{"where all else is in place", nil, failure.Message},
		{"before what takes its time", []func(*status.Observation){rollingOut}, failure.Message},
		{"behind what waits for somebody", []func(*status.Observation){inTheWay}, "NetworkReady: Conflict."},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := inPlace(t, complete(), test.changes...)
			without := status.Of(o)
			o.Failure = failure
			with := status.Of(o)
			if got := condition(t, with.Conditions, "Ready"); got.Message != test.want || got.Status != metav1.ConditionFalse {
				t.Errorf("Ready says %+v", got)
			}
			for _, part := range []string{"NamespaceReady", "QuotaReady", "NetworkReady", "AccessReady", "DatabaseReady", "AppReady"} {
				if was, is := condition(t, without.Conditions, part), condition(t, with.Conditions, part); was != is {
					t.Errorf("%s says %+v, and %+v without", part, is, was)
				}
			}
		})
	}
}

func TestATenantThatCannotBeLookedAtKeepsWhatItSaid(t *testing.T) {
	o := inPlace(t, complete())
	o.Tenant.Status = status.Of(o)
	o.Tenant.Generation++
	got := status.Failing(o, problem.Problem{Reason: v1alpha1.ReasonFailed, Message: "The API server does not answer."})
	ready := condition(t, got.Conditions, "Ready")
	if ready.Status != metav1.ConditionFalse || ready.Message != "The API server does not answer." || ready.ObservedGeneration != o.Tenant.Generation {
		t.Errorf("Ready says %+v", ready)
	}
	if condition(t, got.Conditions, "Reconciling").Reason != v1alpha1.ReasonFailed {
		t.Error("it is not Reconciling")
	}
	for _, part := range []string{"NamespaceReady", "AppReady"} {
		if was, is := condition(t, o.Tenant.Status.Conditions, part), condition(t, got.Conditions, part); was != is {
			t.Errorf("%s says %+v, and %+v before", part, is, was)
		}
	}
	if got.Database == nil || got.App == nil || got.ObservedGeneration != o.Tenant.Generation {
		t.Errorf("it no longer says what it has: %+v", got)
	}
}

func TestATenantInPlaceSaysWhatItHas(t *testing.T) {
	list := status.Of(inPlace(t, complete())).Conditions
	for kind, want := range map[string]string{
		"QuotaReady":    "Quota and container limits are in force.",
		"AccessReady":   "The owners' rights are in place.",
		"DatabaseReady": "Database t_brewsrmdqcfqkxdoaomm on server shared is open for the login in Secret database.",
		"AppReady":      "2 of 2 replicas are available.",
	} {
		if got := condition(t, list, kind).Message; got != want {
			t.Errorf("%s says %q, want %q", kind, got, want)
		}
	}
	list = status.Of(inPlace(t, builders.Tenant("acme"))).Conditions
	for kind, want := range map[string]string{"QuotaReady": "The tenant has no quota.", "AccessReady": "The tenant has no owners."} {
		if got := condition(t, list, kind).Message; got != want {
			t.Errorf("%s says %q, want %q", kind, got, want)
		}
	}
}

func TestConditionsOfPartsThatTheSpecNoLongerHasGo(t *testing.T) {
	o := inPlace(t, complete())
	o.Tenant.Status = stored(t, status.Of(o))
	o.Tenant.Spec.App, o.Deployment = nil, nil
	result := status.Of(o)
	if _, found := conditions(result.Conditions)["AppReady"]; found || result.App != nil {
		t.Errorf("of the app there is still %v and %v", conditions(result.Conditions), result.App)
	}
}

func TestConditionsOfOthersStay(t *testing.T) {
	o := inPlace(t, builders.Tenant("acme"))
	o.Tenant.Status.Conditions = append(o.Tenant.Status.Conditions, metav1.Condition{Type: "Billed", Status: "True", Reason: "Paid"})
	if got := conditions(status.Of(o).Conditions)["Billed"]; got != "True Paid" {
		t.Errorf("the condition of somebody else is now %q", got)
	}
}

func TestTheTransitionTimeMovesWithTheStatusOnly(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*status.Observation)
		moves  []string
	}{
		{"nothing changes", func(*status.Observation) {}, nil},
		{"another generation", func(o *status.Observation) { o.Tenant.Generation = 2 }, nil},
		{"another message", func(o *status.Observation) { o.Database.Server = "other" }, nil},
		{
			"another reason", func(o *status.Observation) {
				o.Tenant.Spec.App.Replicas = new(int32)
				o.Deployment = builders.Deployment("acme", "app", 0).Build()
			}, nil,
		},
		{"a problem", trouble("DatabaseReady", "Failed", false), []string{"DatabaseReady", "Ready", "Reconciling"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := inPlace(t, complete())
			o.Tenant.Status = stored(t, status.Of(o))
			o.Now = later
			test.change(&o)
			for _, condition := range status.Of(o).Conditions {
				moved := condition.LastTransitionTime.Equal(&metav1.Time{Time: later})
				if moved != slices.Contains(test.moves, condition.Type) {
					t.Errorf("%s has had its status since %v", condition.Type, condition.LastTransitionTime)
				}
			}
		})
	}
}

func TestATenantThatStaysAsItIsHasTheStatusItHad(t *testing.T) {
	for name, o := range map[string]status.Observation{
		"a name alone":   inPlace(t, builders.Tenant("acme")),
		"everything":     inPlace(t, complete()),
		"rolling out":    inPlace(t, complete(), rollingOut),
		"with a problem": inPlace(t, complete(), trouble("DatabaseReady", "ServerNotReady", false)),
		"stalled":        inPlace(t, complete(), trouble("NetworkReady", "Conflict", true)),
		"no namespace":   inPlace(t, complete(), trouble("NamespaceReady", "Conflict", true)),
	} {
		t.Run(name, func(t *testing.T) {
			o.Tenant.Status = stored(t, status.Of(o))
			for range 3 {
				o.Now = o.Now.Add(time.Minute)
				next := status.Of(o)
				if !equality.Semantic.DeepEqual(o.Tenant.Status, next) {
					t.Fatalf("it changes without a reason:\n%s", diff.Diff(o.Tenant.Status, next))
				}
				o.Tenant.Status = stored(t, next)
			}
		})
	}
}

func TestTheObservationStaysAsItIs(t *testing.T) {
	o, before := inPlace(t, complete(), rollingOut), inPlace(t, complete(), rollingOut)
	pods := []corev1.Pod{*builders.Pod("acme", "a").CreatedAt(created).Build(), *builders.Pod("acme", "b").CreatedAt(later).Build()}
	o.Pods, before.Pods = slices.Clone(pods), slices.Clone(pods)
	status.Of(o)
	status.Terminating(o, "It waits.", false)
	if !reflect.DeepEqual(o, before) {
		t.Error(diff.Diff(before, o))
	}
}

func TestWhatATenantHas(t *testing.T) {
	o := inPlace(t, complete(), func(o *status.Observation) { o.Tenant.Generation = 7 })
	result := status.Of(o)
	if result.ObservedGeneration != 7 {
		t.Errorf("it is about generation %d", result.ObservedGeneration)
	}
	if want := []v1alpha1.TenantNamespace{{Name: "acme", Primary: true, State: v1alpha1.NamespaceUsable}}; !slices.Equal(result.Namespaces, want) {
		t.Errorf("its namespaces are %v, want %v", result.Namespaces, want)
	}
	if result.Database == nil || !equality.Semantic.DeepEqual(result.Database, o.Database) {
		t.Errorf("its database is %v, want %v", result.Database, o.Database)
	}
	app := result.App
	if app == nil || app.InternalURL != "http://app.acme.svc:8080" || app.Image != image || *app.Replicas != 2 || *app.ReadyReplicas != 2 {
		t.Errorf("its app is %+v", app)
	}
}

func TestATenantWithoutItsNamespaceHasNone(t *testing.T) {
	result := status.Of(inPlace(t, builders.Tenant("acme"), trouble("NamespaceReady", "Conflict", true)))
	if len(result.Namespaces) > 0 {
		t.Errorf("its namespaces are %v", result.Namespaces)
	}
}

func TestAnAppWithoutAPortHasNoURL(t *testing.T) {
	result := status.Of(inPlace(t, builders.Tenant("acme").App(image)))
	if result.App == nil || result.App.InternalURL != "" {
		t.Errorf("its app is %+v", result.App)
	}
}

func TestUsage(t *testing.T) {
	counted := func(hard, used corev1.ResourceList) func(*status.Observation) {
		return func(o *status.Observation) { o.Quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: used} }
	}
	tenant := builders.Tenant("acme").Quota(corev1.ResourcePods, "10")
	for _, test := range []struct {
		name        string
		observation status.Observation
		want        string
	}{
		{"no quota", inPlace(t, builders.Tenant("acme")), ""},
		{"not counted yet", inPlace(t, tenant, counted(nil, nil)), ""},
		{"counted", inPlace(t, tenant), "2 of 10"},
		{
			// What is in force counts, not what the spec has been changed to since.
			"the spec has another quota since",
			inPlace(t, tenant, counted(
				corev1.ResourceList{corev1.ResourcePods: resource.MustParse("5")},
				corev1.ResourceList{corev1.ResourcePods: resource.MustParse("4")})),
			"4 of 5",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if usage := status.Of(test.observation).Usage; usage != nil {
				got = fmt.Sprintf("%s of %s", usage.Used.Pods(), usage.Hard.Pods())
			}
			if got != test.want {
				t.Errorf("it uses %q pods, want %q", got, test.want)
			}
		})
	}
}
