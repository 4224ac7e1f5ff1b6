package answer

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// longestInterval is more than a leap year. Prometheus is asked day by day.
const longestInterval = 367 * 24 * time.Hour

// Interval is a time, without its end.
type Interval struct{ From, To time.Time }

// String names an interval in a sentence.
func (i Interval) String() string {
	return fmt.Sprintf("from %s to %s", i.From.Format(time.RFC3339), i.To.Format(time.RFC3339))
}

// Length returns how long an interval is.
func (i Interval) Length() time.Duration { return i.To.Sub(i.From) }

// Days divides an interval into parts of a day, the last of which may be shorter.
func (i Interval) Days() []Interval {
	var days []Interval
	for from := i.From; from.Before(i.To); from = from.Add(24 * time.Hour) {
		to := from.Add(24 * time.Hour)
		if to.After(i.To) {
			to = i.To
		}
		days = append(days, Interval{From: from, To: to})
	}
	return days
}

// IntervalOf reads the flags --from and --to. Without --to, the interval ends now.
func IntervalOf(from, to string, now time.Time) (Interval, error) {
	now = now.UTC().Truncate(time.Second)
	interval := Interval{To: now}
	var err error
	if interval.From, err = pointInTime("--from", from, now); err != nil {
		return interval, err
	}
	if to != "" {
		if interval.To, err = pointInTime("--to", to, now); err != nil {
			return interval, err
		}
	}
	switch {
	case !interval.From.Before(interval.To):
		return interval, fmt.Errorf("--from is %s, which isn't before --to, %s", interval.From.Format(time.RFC3339), interval.To.Format(time.RFC3339))
	case interval.Length() > longestInterval:
		return interval, errors.New("the interval is longer than a year; ask for each year by itself")
	}
	return interval, nil
}

// pointInTime reads a time that isn't in the future.
func pointInTime(flag, text string, now time.Time) (time.Time, error) {
	if back, err := model.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(back)).Truncate(time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		return at, fmt.Errorf("%s %q is no time; write how far back from now, such as 30d or 12h, a date such as 2026-11-01, which begins at midnight UTC, or a time such as 2026-11-01T08:00:00Z", flag, text)
	}
	at = at.UTC().Truncate(time.Second)
	if at.After(now) {
		return at, fmt.Errorf("%s is %s, which is in the future; it is %s", flag, at.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	return at, nil
}
