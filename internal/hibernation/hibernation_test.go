package hibernation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/hibernation"
)

// at returns a time in UTC, of the year 2026. The 2nd of March is a Monday.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	parsed, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func schedule(sleep, wake, zone string) v1alpha1.HibernationSchedule {
	return v1alpha1.HibernationSchedule{Sleep: sleep, Wake: wake, TimeZone: zone}
}

func TestWhenATenantSleeps(t *testing.T) {
	nights := schedule("0 20 * * 1-5", "0 7 * * 1-5", "")
	for _, test := range []struct {
		name    string
		spec    v1alpha1.TenantHibernation
		now     string
		asleep  bool
		changes string
	}{
		{"nothing says so", v1alpha1.TenantHibernation{}, "2026-03-02 12:00", false, ""},
		{"it is suspended", v1alpha1.TenantHibernation{Suspended: new(true)}, "2026-03-02 12:00", true, ""},
		{"it is suspended, and the schedule says that it is awake", v1alpha1.TenantHibernation{Suspended: new(true), Schedules: []v1alpha1.HibernationSchedule{nights}}, "2026-03-02 12:00", true, ""},
		{"by day", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}}, "2026-03-02 12:00", false, "2026-03-02 20:00"},
		{"just before it falls asleep", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}}, "2026-03-02 19:59", false, "2026-03-02 20:00"},
		{"when it falls asleep", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}}, "2026-03-02 20:00", true, "2026-03-03 07:00"},
		{"when it wakes", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}}, "2026-03-03 07:00", false, "2026-03-03 20:00"},
		{"over the weekend", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}}, "2026-03-08 12:00", true, "2026-03-09 07:00"},
		{"it falls asleep every evening, and doesn't wake on Saturday", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 20 * * *", "0 7 * * 1-5", "")}}, "2026-03-07 12:00", true, "2026-03-09 07:00"},
		{"in Berlin it is an hour later, in winter", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 20 * * 1-5", "0 7 * * 1-5", "Europe/Berlin")}}, "2026-03-02 19:00", true, "2026-03-03 06:00"},
		{"in Berlin it is two hours later, in summer", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 20 * * 1-5", "0 7 * * 1-5", "Europe/Berlin")}}, "2026-07-06 18:00", true, "2026-07-07 05:00"},
		{"the clocks change while it sleeps", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 20 * * 5", "0 7 * * 1", "Europe/Berlin")}}, "2026-03-28 12:00", true, "2026-03-30 05:00"},
		{"two schedules, of which one says so", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 20 * * *", "0 7 * * *", ""), schedule("0 0 * * 6", "0 0 * * 1", "")}}, "2026-03-07 12:00", true, "2026-03-09 07:00"},
		{"it is kept awake at night", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}, WakeUntil: &metav1.Time{Time: at(t, "2026-03-02 23:00")}}, "2026-03-02 21:00", false, "2026-03-02 23:00"},
		{"it is kept awake into the day", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}, WakeUntil: &metav1.Time{Time: at(t, "2026-03-03 09:00")}}, "2026-03-02 21:00", false, "2026-03-03 20:00"},
		{"it was kept awake", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{nights}, WakeUntil: &metav1.Time{Time: at(t, "2026-03-02 23:00")}}, "2026-03-02 23:00", true, "2026-03-03 07:00"},
		{"it is suspended, and kept awake", v1alpha1.TenantHibernation{Suspended: new(true), WakeUntil: &metav1.Time{Time: at(t, "2026-03-02 23:00")}}, "2026-03-02 21:00", false, "2026-03-02 23:00"},
		{"it is suspended, and was kept awake", v1alpha1.TenantHibernation{Suspended: new(true), WakeUntil: &metav1.Time{Time: at(t, "2026-03-02 20:00")}}, "2026-03-02 21:00", true, ""},
		{"it falls asleep once a year", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 0 24 12 *", "0 0 2 1 *", "")}}, "2026-12-30 12:00", true, "2027-01-02 00:00"},
		{"it falls asleep in a leap year", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("0 0 29 2 *", "0 0 1 3 *", "")}}, "2026-12-30 12:00", false, "2028-02-29 00:00"},
		{"it falls asleep and wakes at the same times", v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule("@daily", "@daily", "")}}, "2026-03-02 12:00", false, "2026-06-10 00:00"},
	} {
		t.Run(test.name, func(t *testing.T) {
			state, err := hibernation.At(&test.spec, at(t, test.now))
			if err != nil || state.Asleep != test.asleep || !state.Changes.Equal(at(t, test.changes)) {
				t.Errorf("it is %+v, %v; want asleep %t, until %q", state, err, test.asleep, test.changes)
			}
		})
	}
	if state, err := hibernation.At(nil, at(t, "2026-03-02 12:00")); err != nil || state != (hibernation.State{}) {
		t.Errorf("without a spec it is %+v, %v", state, err)
	}
}

func TestASpecThatDoesNotSayWhenATenantSleeps(t *testing.T) {
	const evening, morning = "0 20 * * 1-5", "0 7 * * 1-5"
	for _, test := range []struct {
		name     string
		schedule v1alpha1.HibernationSchedule
		want     string
	}{
		{"an hour that a day has not", schedule("0 25 * * *", morning, ""), `spec.hibernation.schedules[0].sleep is "0 25 * * *", which is no schedule: `},
		{"words", schedule(evening, "in the morning", ""), `spec.hibernation.schedules[0].wake is "in the morning", which is no schedule: `},
		{"seconds", schedule("0 0 20 * * *", morning, ""), `spec.hibernation.schedules[0].sleep is "0 0 20 * * *", which is no schedule: `},
		{"a day that never comes", schedule("0 0 30 2 *", morning, ""), `spec.hibernation.schedules[0].sleep is "0 0 30 2 *", which is no schedule: that day never comes; write minute, hour, day, month and weekday, for example "0 20 * * 1-5"`},
		{"an interval", schedule("@every 5m", morning, ""), `spec.hibernation.schedules[0].sleep is "@every 5m", which is no schedule: an interval says no time; `},
		{"a time zone in the schedule", schedule("TZ=UTC 0 20 * * *", morning, ""), `spec.hibernation.schedules[0].sleep is "TZ=UTC 0 20 * * *", which is no schedule: the time zone has a field of its own, timeZone; `},
		{"a time zone and nothing else", schedule("CRON_TZ=0", morning, ""), `spec.hibernation.schedules[0].sleep is "CRON_TZ=0", which is no schedule: `},
		{"a time zone on another planet", schedule(evening, morning, "Mars/Olympus"), `spec.hibernation.schedules[0].timeZone is "Mars/Olympus", which is no time zone; write one such as Europe/Berlin, or leave it out for UTC`},
		{"the time zone of the operator", schedule(evening, morning, "Local"), `spec.hibernation.schedules[0].timeZone is "Local", which is no time zone; `},
		{"a time zone that is a path", schedule(evening, morning, "../../etc/passwd"), `spec.hibernation.schedules[0].timeZone is "../../etc/passwd", which is no time zone; `},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := hibernation.At(&v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{test.schedule}}, at(t, "2026-03-02 12:00"))
			if invalid, ok := errors.AsType[*hibernation.InvalidError](err); !ok || !strings.HasPrefix(invalid.Message, test.want) {
				t.Errorf("it says\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

func FuzzSchedules(f *testing.F) {
	f.Add("0 20 * * 1-5", "0 7 * * 1-5", "Europe/Berlin", int64(1e9))
	f.Add("* * * * *", "*/2 * * * *", "", int64(2e9))
	f.Add("TZ=0", "CRON_TZ=", "Local", int64(0))
	f.Fuzz(func(t *testing.T, sleep, wake, zone string, seconds int64) {
		now := time.Unix(seconds%(1<<33), 0)
		spec := &v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{schedule(sleep, wake, zone)}}
		state, err := hibernation.At(spec, now)
		if err == nil && !state.Changes.IsZero() && !state.Changes.After(now) {
			t.Errorf("it changes at %s, which is not after %s", state.Changes, now)
		}
	})
}

func TestWhoIsAwake(t *testing.T) {
	for state, awake := range map[v1alpha1.HibernationState]bool{
		v1alpha1.HibernationAwake: true, v1alpha1.HibernationFallingAsleep: false, v1alpha1.HibernationAsleep: false, v1alpha1.HibernationWaking: false,
	} {
		if got := hibernation.IsAwake(&v1alpha1.TenantHibernationStatus{State: state}); got != awake {
			t.Errorf("a tenant that is %s is awake: %t", state, got)
		}
	}
	if !hibernation.IsAwake(nil) {
		t.Error("a tenant without hibernation isn't awake")
	}
}
