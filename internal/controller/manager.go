// Package controller sets up the controllers and their cache.
package controller

import (
	"k8s.io/apimachinery/pkg/util/uuid"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	policies "github.com/tenantry/tenantry/config/admission"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/clusterdns"
	"github.com/tenantry/tenantry/internal/controller/admission"
	"github.com/tenantry/tenantry/internal/controller/databaseserver"
	"github.com/tenantry/tenantry/internal/controller/tenant"
	"github.com/tenantry/tenantry/internal/controller/tenantclass"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
)

// ClientOptions returns options for a client that reads from the cache and sees its own writes there.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: new(true), Unstructured: true}}
}

// Databases talks to database servers. Package database/postgres implements it.
type Databases interface {
	tenant.Databases
	databaseserver.Databases
}

// Settings are the settings for the whole cluster.
type Settings struct {
	// Enforcement says what happens to requests that break a rule. With Audit, the policies only warn, in the whole
	// cluster.
	Enforcement v1alpha1.PolicyEnforcement
	// DNS is where the cluster's DNS is.
	DNS clusterdns.Setting
}

// Setup registers all controllers with a manager that was created with CacheOptions and ClientOptions.
func Setup(manager ctrl.Manager, databases Databases, settings Settings) error {
	watching, err := client.NewWithWatch(manager.GetConfig(), client.Options{
		HTTPClient: manager.GetHTTPClient(), Scheme: manager.GetScheme(), Mapper: manager.GetRESTMapper(),
	})
	if err != nil {
		return err
	}
	known, rules := &fleet.Fleet{}, &effective.Compiled{}
	recorder := manager.GetEventRecorder(naming.FieldOwner)
	engine := apply.New(manager.GetClient(), manager.GetAPIReader(), naming.FieldOwner)
	servers := &databaseserver.Reconciler{
		Client: manager.GetClient(), Live: manager.GetAPIReader(), Recorder: recorder,
		Databases: databases, Fleet: known, Engine: engine, Watching: watching,
	}
	if err := servers.SetupWithManager(manager); err != nil {
		return err
	}
	objects, err := policies.Objects(settings.Enforcement)
	if err != nil {
		return err
	}
	admissions := &admission.Reconciler{Live: manager.GetAPIReader(), Engine: engine, Policies: objects, Recorder: recorder}
	if err := admissions.SetupWithManager(manager); err != nil {
		return err
	}
	classes := &tenantclass.Reconciler{
		Client: manager.GetClient(), Live: manager.GetAPIReader(), Recorder: recorder, Fleet: known, Rules: rules,
	}
	if err := classes.SetupWithManager(manager); err != nil {
		return err
	}
	if err := metrics.Register(manager, known); err != nil {
		return err
	}
	classObjects, err := tenant.NewClassObjects(manager.GetConfig(), watching, manager.GetAPIReader())
	if err != nil {
		return err
	}
	certificates, err := tenant.NewCertificates(manager)
	if err != nil {
		return err
	}
	tenants := &tenant.Reconciler{
		Client: manager.GetClient(), Live: manager.GetAPIReader(), Recorder: recorder,
		Engine: engine, ClassObjects: classObjects, Databases: databases, Fleet: known, Certificates: certificates,
		DNS: tenant.NewClusterDNS(watching, settings.DNS), Secrets: tenant.NewSettingsSecrets(watching),
		Audit: settings.Enforcement == v1alpha1.PolicyAudit, Identity: string(uuid.NewUUID()), Rules: rules,
	}
	return tenants.SetupWithManager(manager)
}
