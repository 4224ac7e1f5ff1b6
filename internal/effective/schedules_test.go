package effective_test

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/test/builders"
)

// The API server evaluates the same rules when a Tenant is applied.
func TestWhenAScheduleRuns(t *testing.T) {
	for _, test := range []struct{ schedule, zone, refused string }{
		{"0 3 * * *", "", ""},
		{"*/15,1-5/2,59 0-6,22 1,15 jan-Mar,12 MON-FRI", "", ""},
		{"@hourly", "America/Argentina/Buenos_Aires", ""},
		{"? 3 ? * ?", "Etc/GMT+5", ""},
		{"0 3 * *", "", "five fields"},
		{"every night", "", "five fields"},
		{"@every 1h", "", "five fields"},
		{"TZ=UTC 0 3 * * *", "", "the time zone is in timeZone"},
		{"60 3 * * *", "", "wrong minute"},
		{"*/0 3 * * *", "", "wrong minute"},
		{"0 24 * * *", "", "wrong hour"},
		{"0 3 0 * *", "", "wrong day of the month"},
		{"0 3 * 13 *", "", "wrong month"},
		{"0 3 * * 7", "", "wrong day of the week"},
		{"0 3 * * *", "Europe/Berln", "timeZone must be the name of a time zone"},
		{"0 3 * * *", "Local", "timeZone must be the name of a time zone"},
		{"0 3 * * *", "+01:00", "timeZone must be the name of a time zone"},
	} {
		tenant := builders.Tenant("acme").App(image).Schedule("bill", test.schedule, "/bill").Build()
		tenant.Spec.App.Schedules[0].TimeZone = test.zone
		_, err := effective.OfClass(tenant, &effective.Class{Name: "gold"})
		if test.refused == "" && err != nil || test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)) {
			t.Errorf("%q in %q is refused with %v, want %q", test.schedule, test.zone, err, test.refused)
		}
	}
}
