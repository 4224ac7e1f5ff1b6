package parts

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
)

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete

// Database is the part with the tenant's database and the Secret with its login.
var Database = &Part{
	Condition: v1alpha1.ConditionDatabaseReady,
	Kinds:     []desired.Object{&corev1.Secret{}},
	applies:   func(tenant *effective.Tenant) bool { return tenant.Spec.Database != nil },
	missing:   (*effective.Spec).MissingForDatabase,
	objects:   func(in Inputs) []desired.Object { return present(secret(in)) },
	inPlace:   databaseInPlace,
}

func databaseInPlace(o Observation) condition.State {
	if o.Asleep {
		return databaseAsleep(o)
	}
	return condition.Ready("Database %s on server %s is open for the login in Secret %s.",
		o.Database.Name, o.Database.Server, o.Database.SecretName)
}
