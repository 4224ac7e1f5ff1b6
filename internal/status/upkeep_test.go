package status_test

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
)

func TestAServerSaysWhatTheOperatorCanNotDoThere(t *testing.T) {
	o := answering(t)
	o.Server.Status = stored(t, status.OfServer(o))
	if kept := status.WithUpkeep(o.Server, nil, later); !equality.Semantic.DeepEqual(kept, o.Server.Status) {
		t.Errorf("when all can be done, its status is %+v", kept)
	}
	failures := []problem.Problem{
		problem.Upkeep("look at the shared databases", &database.LockedError{Server: "shared", Holder: &database.LockHolder{PID: 4711, Role: "admin", Since: created}, Err: errors.New("lock timeout")}),
		problem.Upkeep("lock out those who are gone", errors.Join(
			errors.New("one is strange; mend it"), errors.New("two is strange; mend it"),
			errors.New("three is strange; mend it"), errors.New("four is strange; mend it"))),
	}
	o.Server.Status = stored(t, status.WithUpkeep(o.Server, failures, later))
	want := map[string]string{"Ready": "True Ready", v1alpha1.ConditionUpkeepFailed: "True Failed"}
	if got := conditions(o.Server.Status.Conditions); !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("its conditions are %v", got)
	}
	message := condition(t, o.Server.Status.Conditions, v1alpha1.ConditionUpkeepFailed).Message
	for _, part := range []string{"can't look at the shared databases", "4711", "admin", "can't lock out those who are gone", "one is strange; mend it. two is strange", "Others of this kind: 1."} {
		if !strings.Contains(message, part) {
			t.Errorf("it doesn't say %q: %s", part, message)
		}
	}
	if strings.Contains(message, "four") {
		t.Errorf("it tells all: %s", message)
	}
	o.Now = later
	if again := status.OfServer(o); !equality.Semantic.DeepEqual(again, o.Server.Status) {
		t.Errorf("the next look changes it to %+v", again)
	}
	if got := conditions(status.WithUpkeep(o.Server, nil, later).Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "True Ready"}) {
		t.Errorf("once all can be done, its conditions are %v", got)
	}
}
