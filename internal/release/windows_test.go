package release_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/release"
)

func TestWhenAWindowIsOpen(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	nights := release.Window{Schedule: "0 22 * * 1-4", Duration: 4 * time.Hour, TimeZone: "Europe/Berlin"}
	noons := release.Window{Schedule: "0 12 * * *", Duration: 30 * time.Minute}
	in := func(day, hour, minute int) time.Time {
		return time.Date(2026, time.March, day, hour, minute, 0, 0, berlin)
	}
	for _, test := range []struct {
		name    string
		windows []release.Window
		now     time.Time
		open    bool
		again   time.Time
	}{
		{"always without windows", nil, in(2, 3, 0), true, time.Time{}},
		{"not before it opens", []release.Window{nights}, in(2, 21, 59), false, in(2, 22, 0)},
		{"from the minute in which it opens", []release.Window{nights}, in(2, 22, 0), true, in(3, 2, 0)},
		{"past midnight", []release.Window{nights}, in(3, 1, 59), true, in(3, 2, 0)},
		{"not from the minute in which it closes", []release.Window{nights}, in(3, 2, 0), false, in(3, 22, 0)},
		{"not over the weekend", []release.Window{nights}, in(6, 2, 0), false, in(9, 22, 0)},
		{"by the clock on the wall, also after it was changed", []release.Window{nights}, in(29, 12, 0), false, in(30, 22, 0)},
		{"in UTC without a time zone", []release.Window{noons}, in(2, 13, 10), true, in(2, 13, 30)},
		{"as long as one of several is", []release.Window{nights, noons}, in(2, 13, 10), true, in(2, 13, 30)},
		{"when the first of several opens", []release.Window{nights, noons}, in(2, 14, 0), false, in(2, 22, 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			windows, err := release.ParseWindows(test.windows, test.now)
			if err != nil {
				t.Fatal(err)
			}
			if open, again := windows.At(test.now); open != test.open || !again.Equal(test.again) {
				t.Errorf("open is %t until %s, want %t until %s", open, again, test.open, test.again)
			}
		})
	}
}

func TestWhatIsNoWindow(t *testing.T) {
	for _, test := range []struct {
		window release.Window
		want   string
	}{
		{release.Window{Schedule: "0 22 * * 1-4", TimeZone: "Mars/Olympus"}, `spec.rollout.windows[0].timeZone is "Mars/Olympus", which is no time zone; write one such as Europe/Berlin`},
		{release.Window{Schedule: "0 22 * * 1-4", TimeZone: "Local"}, `spec.rollout.windows[0].timeZone is "Local", which is no time zone; write one such as Europe/Berlin`},
		{release.Window{Schedule: "0 0 30 2 *"}, `spec.rollout.windows[0].schedule is "0 0 30 2 *", a time that never comes; write one such as 0 22 * * 1-4`},
		{release.Window{Schedule: "at night"}, `spec.rollout.windows[0].schedule is "at night", which is no schedule (expected exactly 5 fields, found 2: [at night]); write one such as 0 22 * * 1-4`},
		{release.Window{Schedule: "@every 1h"}, `spec.rollout.windows[0].schedule is "@every 1h"; write when the window opens, as in 0 22 * * 1-4`},
		{release.Window{Schedule: "TZ=UTC 0 22 * * *"}, `spec.rollout.windows[0].schedule is "TZ=UTC 0 22 * * *"; write when the window opens, as in 0 22 * * 1-4`},
	} {
		t.Run(test.window.Schedule+test.window.TimeZone, func(t *testing.T) {
			if _, err := release.ParseWindows([]release.Window{test.window}, noon); err == nil || err.Error() != test.want {
				t.Errorf("the error is %v, want %s", err, test.want)
			}
		})
	}
}
