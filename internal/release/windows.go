package release

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // The operator's image has no time zones.

	"github.com/robfig/cron/v3"
)

// Window is a time that comes again and again.
type Window struct {
	// Schedule is when it opens, as in a CronJob.
	Schedule string
	// Duration is how long it stays open.
	Duration time.Duration
	// TimeZone is the time zone of the schedule; UTC if it is empty.
	TimeZone string
}

// Windows are the times at which tenants may be assigned. Without any, that is always.
type Windows []opening

type opening struct {
	schedule cron.Schedule
	duration time.Duration
}

// ParseWindows parses windows. The error names the first field that is wrong, below spec.rollout.
func ParseWindows(windows []Window, now time.Time) (Windows, error) {
	var parsed Windows
	for i, window := range windows {
		schedule, err := window.parse(now)
		if err != nil {
			return nil, fmt.Errorf("spec.rollout.windows[%d].%w", i, err)
		}
		parsed = append(parsed, opening{schedule, window.Duration})
	}
	return parsed, nil
}

func (w Window) parse(now time.Time) (cron.Schedule, error) {
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil || w.TimeZone == time.Local.String() {
		return nil, fmt.Errorf("timeZone is %q, which is no time zone; write one such as Europe/Berlin", w.TimeZone)
	}
	if strings.HasPrefix(w.Schedule, "@every") || strings.Contains(w.Schedule, "TZ") {
		return nil, fmt.Errorf("schedule is %q; write when the window opens, as in 0 22 * * 1-4", w.Schedule)
	}
	schedule, err := cron.ParseStandard("TZ=" + zone.String() + " " + w.Schedule)
	if err != nil {
		return nil, fmt.Errorf("schedule is %q, which is no schedule (%w); write one such as 0 22 * * 1-4", w.Schedule, err)
	}
	if schedule.Next(now).IsZero() {
		return nil, fmt.Errorf("schedule is %q, a time that never comes; write one such as 0 22 * * 1-4", w.Schedule)
	}
	return schedule, nil
}

// At reports whether a window is open, and when to ask again.
func (w Windows) At(now time.Time) (open bool, again time.Time) {
	if len(w) == 0 {
		return true, time.Time{}
	}
	var closes, opens time.Time
	for _, opening := range w {
		began := opening.schedule.Next(now.Add(-opening.duration))
		if !began.After(now) {
			closes = earlier(closes, began.Add(opening.duration))
			continue
		}
		opens = earlier(opens, began)
	}
	if !closes.IsZero() {
		return true, closes
	}
	return false, opens
}

// earlier returns the earlier of two times, where zero means no time.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
