package answer_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/test/builders"
)

// What a Tenant or its class says of its sleep. The nights are over now, and the noons are not.
const (
	nights = `schedules: [{sleep: "0 20 * * *", wake: "0 7 * * *"}]`
	noons  = `schedules: [{sleep: "0 10 * * *", wake: "0 15 * * *"}]`
)

// sleeper returns a tenant that says this of its sleep, and whose class gold says that; empty is nothing, and no class.
func sleeper(t *testing.T, own, class string) answer.Sleeper {
	t.Helper()
	s := answer.Sleeper{Tenant: builders.Tenant("acme").Build(), Now: now}
	said := func(text string) (spec v1alpha1.TenantSpec) {
		if err := yaml.UnmarshalStrict([]byte("{hibernation: {"+text+"}}"), &spec); err != nil {
			t.Fatal(err)
		}
		return spec
	}
	if own != "" {
		s.Tenant.Spec.Hibernation = said(own).Hibernation
	}
	if class != "" {
		s.Tenant.Spec.ClassName = new("gold")
		s.Class = &effective.Class{Name: "gold", Tenant: said(class)}
	}
	return s
}

// expectChange compares a change with the patch and what it says, a line each.
func expectChange(t *testing.T, change answer.Change, err error, patch, said string) {
	t.Helper()
	got, failed := json.Marshal(change.Spec)
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if string(got) != patch {
		t.Errorf("changes %s, want %s", got, patch)
	}
	if text := strings.Join(change.Sentences, "\n"); text != said {
		t.Errorf("says\n%s\nwant\n%s", text, said)
	}
}

const waitsUntil = `
If it takes long, kubectl tenantry why acme says what it waits for.
To wait for it: kubectl wait tenant/acme --for=jsonpath='{.status.hibernation.state}'=`

func TestPuttingATenantToSleep(t *testing.T) {
	const (
		falls   = "The Tenant acme falls asleep: its app and workers end, no scheduled runs begin, and its logins to the database are disabled. Its data stays. It sleeps until kubectl tenantry wake acme"
		waits   = waitsUntil + "Asleep --timeout=10m"
		already = "There is nothing to do: spec.hibernation.suspended of the Tenant acme is true already. It sleeps until kubectl tenantry wake acme."
		suspend = `{"hibernation":{"suspended":true}}`
	)
	for _, test := range []struct {
		name, own, class string
		state            v1alpha1.HibernationState
		patch, said      string
	}{
		{"that is awake", "", "", "", suspend, falls + "." + waits},
		{"that its schedule would wake", nights, "", v1alpha1.HibernationAwake, suspend, falls + ", whatever spec.hibernation.schedules says." + waits},
		{"that its class's schedule would wake", "", nights, "", suspend, falls + ", whatever spec.tenant.hibernation.schedules of its class gold says." + waits},
		{"that sleeps by its schedule", noons, "", v1alpha1.HibernationAsleep, suspend, "The Tenant acme stays asleep. It sleeps until kubectl tenantry wake acme, whatever spec.hibernation.schedules says."},
		{"that was woken until later", `suspended: true, wakeUntil: "2026-11-27T14:00:00Z"`, "", "", `{"hibernation":{"suspended":true,"wakeUntil":null}}`, falls + "." + waits},
		{"that its class keeps awake", "", `wakeUntil: "2026-11-27T14:00:00Z"`, "", suspend, "The Tenant acme falls asleep at 2026-11-27T14:00:00Z. Until then, its class gold keeps it awake."},
		{"that sleeps", `suspended: true, wakeUntil: "2026-11-27T11:00:00Z"`, "", v1alpha1.HibernationAsleep, "null", already},
		{"that falls asleep", `suspended: true`, "", v1alpha1.HibernationFallingAsleep, "null", already + waits},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sleeper(t, test.own, test.class)
			if test.state != "" {
				s.Tenant.Status.Hibernation = &v1alpha1.TenantHibernationStatus{State: test.state}
			}
			change, err := answer.Hibernate(s)
			expectChange(t, change, err, test.patch, test.said)
		})
	}
}

func TestWakingATenant(t *testing.T) {
	const (
		stays   = "The Tenant acme stays awake until "
		wakes   = "The Tenant acme wakes: first its database, then its app and workers with as many pods as before. It stays awake until "
		waits   = waitsUntil + "Awake --timeout=10m"
		nothing = "There is nothing to do: the Tenant acme stays awake until "
		longer  = " For longer, say for how long from now: kubectl tenantry wake acme --for 12h"
		resume  = `{"hibernation":{"suspended":false}}`
		until   = `, wakeUntil: "2026-11-27T14:00:00Z"`
	)
	for _, test := range []struct {
		name, own, class string
		lasting          time.Duration
		patch, said      string
	}{
		{"that is suspended", "suspended: true", "", 0, resume, wakes + "kubectl tenantry hibernate acme." + waits},
		{"that is suspended, for a while", "suspended: true", "", 2 * time.Hour, `{"hibernation":{"wakeUntil":"2026-11-27T14:00:00Z"}}`,
			wakes + "2026-11-27T14:00:00Z, when spec.hibernation.suspended puts it to sleep." + waits},
		{"that sleeps by its schedule", noons, "", 0, `{"hibernation":{"suspended":false,"wakeUntil":"2026-11-27T20:00:00Z"}}`,
			wakes + "2026-11-28T10:00:00Z, when spec.hibernation.schedules puts it to sleep." + waits},
		{"that sleeps by its schedule, for a while", noons, "", time.Hour, `{"hibernation":{"wakeUntil":"2026-11-27T13:00:00Z"}}`,
			wakes + "2026-11-27T13:00:00Z, when spec.hibernation.schedules puts it to sleep." + waits},
		{"that is suspended, and would be awake by its schedule", "suspended: true, " + nights, "", 0, resume,
			wakes + "2026-11-27T20:00:00Z, when spec.hibernation.schedules puts it to sleep." + waits},
		{"that sleeps by its class's schedule", "", noons, 0, `{"hibernation":{"suspended":false,"wakeUntil":"2026-11-27T20:00:00Z"}}`,
			wakes + "2026-11-28T10:00:00Z, when spec.tenant.hibernation.schedules of its class gold puts it to sleep." + waits},
		{"whose class has its tenants sleep", "", "suspended: true", 0, resume, wakes + "kubectl tenantry hibernate acme." + waits},
		{"whose class has its tenants sleep, for a while", "", "suspended: true", time.Hour, `{"hibernation":{"wakeUntil":"2026-11-27T13:00:00Z"}}`,
			wakes + "2026-11-27T13:00:00Z, when spec.tenant.hibernation.suspended of its class gold puts it to sleep." + waits},
		{"that is awake for a while, for good", "suspended: true" + until, "", 0, resume, stays + "kubectl tenantry hibernate acme."},
		{"that is awake, for longer than its schedule says", nights, "", 10 * time.Hour, `{"hibernation":{"wakeUntil":"2026-11-27T22:00:00Z"}}`,
			stays + "2026-11-27T22:00:00Z, when spec.hibernation.schedules puts it to sleep."},
		{"that is awake for a while, for less", noons + until, "", time.Hour, `{"hibernation":{"wakeUntil":"2026-11-27T13:00:00Z"}}`,
			stays + "2026-11-27T13:00:00Z, when spec.hibernation.schedules puts it to sleep."},
		{"that is awake", "", "", 0, "null", nothing + "kubectl tenantry hibernate acme."},
		{"that is awake, for a while", "", "", time.Hour, "null", nothing + "kubectl tenantry hibernate acme."},
		{"that is awake until evening", nights, "", 0, "null", nothing + "2026-11-27T20:00:00Z, when spec.hibernation.schedules puts it to sleep." + longer},
		{"that is awake until evening, for less than that", nights, "", time.Hour, "null", nothing + "2026-11-27T20:00:00Z, when spec.hibernation.schedules puts it to sleep."},
		{"that was woken", noons + until, "", 0, "null", nothing + "2026-11-27T14:00:00Z, when spec.hibernation.schedules puts it to sleep." + longer},
	} {
		t.Run(test.name, func(t *testing.T) {
			change, err := answer.Wake(sleeper(t, test.own, test.class), test.lasting)
			expectChange(t, change, err, test.patch, test.said)
		})
	}
	t.Run("that wakes already", func(t *testing.T) {
		s := sleeper(t, "suspended: false", "")
		s.Tenant.Status.Hibernation = &v1alpha1.TenantHibernationStatus{State: v1alpha1.HibernationWaking}
		change, err := answer.Wake(s, 0)
		expectChange(t, change, err, "null", nothing+"kubectl tenantry hibernate acme."+waits)
	})
}

func TestATenantThatNobodyCanPutToSleepOrWakeSaysWhy(t *testing.T) {
	closed := func(s answer.Sleeper) answer.Sleeper {
		s.Class.Bounds.Overridable = []v1alpha1.TenantField{"quota"}
		return s
	}
	leaving := sleeper(t, "suspended: true", "")
	leaving.Tenant.DeletionTimestamp = &metav1.Time{Time: now}
	for _, test := range []struct {
		name    string
		sleeper answer.Sleeper
		want    string
	}{
		{"it is being deleted", leaving, "the Tenant acme is being deleted, and neither falls asleep nor wakes any more"},
		{"its schedule is none", sleeper(t, `schedules: [{sleep: never, wake: "0 7 * * *"}]`, ""), `the Tenant acme neither falls asleep nor wakes: spec.hibernation.schedules[0].sleep is "never", which is no schedule: `},
		{"its class doesn't let it", closed(sleeper(t, "", noons)), "the Tenant acme may not say that itself: spec has hibernation, which the class gold sets; its tenants may write quota; see spec.bounds of its class gold"},
		{"it and its class don't go together", closed(sleeper(t, "suspended: true", noons)), "The tenant stays as it is, since what it and its class gold say does not go together: spec has hibernation, "},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, asleep := answer.Hibernate(test.sleeper)
			_, awake := answer.Wake(test.sleeper, 0)
			for _, err := range []error{asleep, awake} {
				if err == nil || !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("says\n%v\nwant\n%s", err, test.want)
				}
			}
		})
	}
}
