package postgres_test

import (
	"reflect"
	"testing"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
)

// TestEachActionIsCarriedOut tests what the compiler can't check: that each action leads to a statement.
func TestEachActionIsCarriedOut(t *testing.T) {
	for method := range reflect.TypeFor[database.Visitor]().Methods() {
		t.Run(method.Name, func(t *testing.T) {
			kind := method.Type.In(0)
			if kind.Name() != method.Name {
				t.Errorf("the method is not named after the action %s", kind)
			}
			action, ok := reflect.TypeAssert[database.Action](reflect.Zero(kind))
			if !ok {
				t.Fatalf("%s is not an Action", kind)
			}
			batches := postgres.Statements([]database.Action{action}, 14)
			if len(batches) != 1 || len(batches[0].Statements) == 0 {
				t.Errorf("%s is carried out by the batches %v, want one with statements", kind, batches)
			}
			if action.String() == "" {
				t.Errorf("%s does not say what it does", kind)
			}
		})
	}
}
