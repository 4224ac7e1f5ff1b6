package monitoring

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	image = "registry.example/shop:1"
	// shared is the server that stays well, second the one that is stopped, and slow the one on a slow line.
	shared, second, slow = "shared", "second", "slow"
	// specTimeout is long enough for a busy machine.
	specTimeout = 5 * time.Minute
	// incidentTimeout is how long an alert may take to fire or to end. What a server has of its tenants is measured
	// once in a minute.
	incidentTimeout = 2 * time.Minute
)

// monitored is what the incidents happen to.
type monitored struct {
	*site
	other *postgres.Server
	line  *line
	// acme is a tenant with all that has metrics, on the server shared; tardy has its database on second.
	acme, tardy *v1alpha1.Tenant
	// plugin is the built kubectl plugin.
	plugin string
}

// incident makes something go wrong, and returns what ends it. subject are the labels of the alert.
type incident struct {
	subject model.LabelSet
	happen  func(ctx context.Context, m *monitored) (end func(context.Context))
}

// by makes a method that makes something go wrong a function.
func by(method func(*monitored, context.Context) func(context.Context)) func(context.Context, *monitored) func(context.Context) {
	return func(ctx context.Context, m *monitored) func(context.Context) { return method(m, ctx) }
}

var incidents = map[string]incident{
	"TenantryTenantStalled": {model.LabelSet{"tenant": "taken"}, func(ctx context.Context, m *monitored) func(context.Context) {
		Expect(m.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})).To(Succeed())
		return m.create(ctx, builders.Tenant("taken").Build())
	}},
	"TenantryTenantNotReady":      {model.LabelSet{"tenant": "late"}, by((*monitored).waitForServer)},
	"TenantryTenantDeletionStuck": {model.LabelSet{"tenant": "tardy"}, by((*monitored).deleteWithoutServer)},
	"TenantryTenantAppDegraded":   {model.LabelSet{"tenant": "acme"}, by((*monitored).outgrowQuota)},
	"TenantryTenantQuotaNearlyUsed": {model.LabelSet{"tenant": "acme", "resource": "pods"}, func(ctx context.Context, m *monitored) func(context.Context) {
		m.limitPods(ctx, "2")
		return func(ctx context.Context) { m.limitPods(ctx, "10") }
	}},
	"TenantryTenantConnectionsNearlyUsed": {model.LabelSet{"tenant": "acme"}, by((*monitored).openConnections)},
	"TenantryTenantUnexpectedAccess":      {model.LabelSet{"tenant": "acme"}, by((*monitored).joinTenant)},
	"TenantryDatabaseServerDown": {model.LabelSet{"server": second}, func(_ context.Context, m *monitored) func(context.Context) {
		Expect(m.other.Stop()).To(Succeed())
		return m.restart
	}},
	"TenantryDatabaseServerSlow": {model.LabelSet{"server": slow}, func(_ context.Context, m *monitored) func(context.Context) {
		m.line.delay.Store(int64(1500 * time.Millisecond))
		return func(context.Context) { m.line.delay.Store(0) }
	}},
	"TenantryDatabaseServerNearlyFull": {model.LabelSet{"server": second}, func(ctx context.Context, m *monitored) func(context.Context) {
		m.setCapacity(ctx, 1)
		return func(ctx context.Context) { m.setCapacity(ctx, 10) }
	}},
	"TenantryDatabaseServerDrift":        {model.LabelSet{"server": shared}, by((*monitored).keepChanging)},
	"TenantryDatabaseServerUpkeepFailed": {model.LabelSet{"server": shared}, by((*monitored).lockPreparation)},
	"TenantryDatabaseServerUnexpectedAccess": {model.LabelSet{"server": shared}, func(ctx context.Context, m *monitored) func(context.Context) {
		m.sql(ctx, "postgres", "CREATE ROLE stranger SUPERUSER")
		return func(ctx context.Context) { m.sql(ctx, "postgres", "DROP ROLE stranger") }
	}},
	"TenantryDatabaseServerUnprotectedTables": {model.LabelSet{"server": shared}, func(ctx context.Context, m *monitored) func(context.Context) {
		m.sql(ctx, "tenantry_row", "CREATE TABLE public.orders (id int)")
		return func(ctx context.Context) { m.sql(ctx, "tenantry_row", "DROP TABLE public.orders") }
	}},
	"TenantryOperatorDown": {model.LabelSet{}, func(_ context.Context, m *monitored) func(context.Context) {
		Expect(m.Operator.Stop()).To(Succeed())
		return func(ctx context.Context) { Expect(m.StartOperator(ctx)).To(Succeed()) }
	}},
	"TenantryReconcileErrors":  {model.LabelSet{"controller": "tenant"}, by((*monitored).takeRights)},
	"TenantryWorkQueueBacklog": {model.LabelSet{"name": "tenant"}, by((*monitored).queueUp)},
}

var _ = Describe("With Prometheus", Ordered, func() {
	var m *monitored

	BeforeAll(func(ctx SpecContext) {
		m = &monitored{site: start(ctx)}
		m.populate(ctx)
		var err error
		m.plugin, err = operator.Compile(ctx, "./cmd/kubectl-tenantry")
		Expect(err).NotTo(HaveOccurred())
	}, NodeTimeout(20*time.Minute))

	AfterEach(func(ctx SpecContext) {
		m.Explain(ctx, "get tenants,databaseservers -o wide")
	}, NodeTimeout(time.Minute))

	It("nothing fires while all is well", func(ctx SpecContext) {
		Eventually(ctx, m.prometheus.Value).WithArguments(ctx, "tenantry:tenants_ready:count").ShouldNot(BeEmpty())
		// A busy machine is slow, for longer than the seconds that an alert must hold here.
		Eventually(ctx, m.prometheus.Firing).WithArguments(ctx).WithTimeout(incidentTimeout).Should(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("a provider can bill by what tenants have requested, also when the operator has been away", func(ctx SpecContext) {
		m.billRequests(ctx)
	}, SpecTimeout(specTimeout))

	It("who asks for usage that isn't there is told why", func(ctx SpecContext) {
		m.askInVain(ctx)
	}, SpecTimeout(specTimeout))

	for _, name := range slices.Sorted(maps.Keys(incidents)) {
		It(name+" fires, and ends", func(ctx SpecContext) {
			subject := incidents[name].subject.Clone()
			subject[model.AlertNameLabel] = model.LabelValue(name)
			end := incidents[name].happen(ctx, m)
			Eventually(ctx, m.prometheus.Firing).WithArguments(ctx).WithTimeout(incidentTimeout).Should(ContainElement(including(subject)))
			end(ctx)
			Eventually(ctx, m.prometheus.Firing).WithArguments(ctx).WithTimeout(incidentTimeout).ShouldNot(ContainElement(including(subject)))
		}, SpecTimeout(specTimeout))
	}

	It("each query of the dashboards has had data meanwhile", func(ctx SpecContext) {
		change(ctx, m.acme, func() { m.acme.Annotations = map[string]string{v1alpha1.AnnotationRotateCredentials: "now"} })
		for _, file := range dashboards(ctx) {
			queries := queriesOf(file)
			Expect(queries).NotTo(BeEmpty(), file)
			for title, exprs := range queries {
				for _, expr := range exprs {
					// The first measurement of a server comes within a minute.
					Eventually(ctx, m.drawn).WithArguments(ctx, expr).WithTimeout(90*time.Second).Should(BeNumerically(">", 0),
						"%s, %q: %s", filepath.Base(file), title, expr)
				}
			}
		}
	}, SpecTimeout(specTimeout))

	It("a provider can bill by the size of databases", func(ctx SpecContext) {
		m.billDatabase(ctx)
	}, SpecTimeout(specTimeout))

	It("each alert has fired", func(ctx SpecContext) {
		Expect(slices.Collect(maps.Keys(incidents))).To(ConsistOf(slices.Collect(maps.Keys(readRules(ctx).Alerts()))))
	}, SpecTimeout(time.Minute))
})

// including matches labels that have all of these.
func including(labels model.LabelSet) gomegatypes.GomegaMatcher {
	return WithTransform(func(found model.LabelSet) bool { return found.Merge(labels).Equal(found) }, BeTrue())
}

// populate creates servers and tenants that are well.
func (m *monitored) populate(ctx context.Context) {
	GinkgoHelper()
	server, err := m.ApplyDatabaseServer(ctx, shared, m.Postgres)
	Expect(err).NotTo(HaveOccurred())
	change(ctx, server, func() {
		server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow}
	})
	m.other, err = m.StartPostgres(ctx, second)
	Expect(err).NotTo(HaveOccurred())
	_, err = m.ApplyDatabaseServer(ctx, second, m.other)
	Expect(err).NotTo(HaveOccurred())
	m.setCapacity(ctx, 10)
	m.line = lineTo(fmt.Sprintf("%s:%d", m.Postgres.Host, m.Postgres.Port))
	slowed, err := m.ApplyDatabaseServer(ctx, slow, m.Postgres)
	Expect(err).NotTo(HaveOccurred())
	change(ctx, slowed, func() {
		slowed.Spec.Port = m.line.port
		slowed.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema}
	})

	m.acme = builders.Tenant("acme").Quota(corev1.ResourcePods, "10").Quota(corev1.ResourceRequestsCPU, "4").Quota(corev1.ResourceRequestsMemory, "4Gi").
		Database(shared).ConnectionLimit(2).App(image).Port(8080).Replicas(2).Build()
	m.tardy = builders.Tenant("tardy").Database(second).Build()
	for _, tenant := range []*v1alpha1.Tenant{m.acme, m.tardy} {
		Expect(m.Client.Create(ctx, tenant)).To(Succeed())
	}
	for _, tenant := range []*v1alpha1.Tenant{m.acme, m.tardy} {
		Eventually(ctx, komega.Object(tenant)).Should(beReady())
	}
}

// create creates an object, and returns what deletes it.
func (m *monitored) create(ctx context.Context, object client.Object) func(context.Context) {
	GinkgoHelper()
	Expect(m.Client.Create(ctx, object)).To(Succeed())
	return func(ctx context.Context) { Expect(client.IgnoreNotFound(m.Client.Delete(ctx, object))).To(Succeed()) }
}

func (m *monitored) sql(ctx context.Context, database string, statements ...string) {
	GinkgoHelper()
	Expect(environment.Exec(ctx, m.Postgres, database, statements...)).To(Succeed())
}

func (m *monitored) restart(ctx context.Context) {
	GinkgoHelper()
	Expect(m.other.Restart(ctx)).To(Succeed())
}

func (m *monitored) setCapacity(ctx context.Context, tenants int32) {
	GinkgoHelper()
	server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: second}}
	change(ctx, server, func() { server.Spec.Capacity = &v1alpha1.DatabaseServerCapacity{Tenants: new(tenants)} })
}

func (m *monitored) limitPods(ctx context.Context, limit string) {
	GinkgoHelper()
	change(ctx, m.acme, func() { m.acme.Spec.Quota[corev1.ResourcePods] = resource.MustParse(limit) })
}

// waitForServer creates a tenant whose database server is down.
func (m *monitored) waitForServer(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	Expect(m.other.Stop()).To(Succeed())
	remove := m.create(ctx, builders.Tenant("late").Database(second).Build())
	return func(ctx context.Context) {
		m.restart(ctx)
		DeferCleanup(func(ctx SpecContext) { remove(ctx) }, NodeTimeout(time.Minute))
	}
}

// deleteWithoutServer deletes a tenant whose database server is down.
func (m *monitored) deleteWithoutServer(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	Expect(m.other.Stop()).To(Succeed())
	Expect(m.Client.Delete(ctx, m.tardy)).To(Succeed())
	return m.restart
}

// outgrowQuota asks for more pods than the quota has room for.
func (m *monitored) outgrowQuota(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	scale := func(ctx context.Context, replicas int32) {
		change(ctx, m.acme, func() { m.acme.Spec.App.Replicas = new(replicas) })
	}
	m.limitPods(ctx, "3")
	scale(ctx, 5)
	return func(ctx context.Context) {
		m.limitPods(ctx, "10")
		scale(ctx, 2)
	}
}

// openConnections opens as many connections as the tenant may have.
func (m *monitored) openConnections(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	var ends []func(context.Context) error
	for range 2 {
		session, err := m.Login(ctx, m.acme)
		Expect(err).NotTo(HaveOccurred())
		ends = append(ends, session.Close)
	}
	return func(ctx context.Context) {
		for _, end := range ends {
			Expect(end(ctx)).To(Succeed())
		}
	}
}

// joinTenant makes somebody else a member of the tenant's role.
func (m *monitored) joinTenant(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	Expect(komega.Get(m.acme)()).To(Succeed())
	m.sql(ctx, "postgres", "CREATE ROLE spy", "GRANT "+m.acme.Status.Database.Name+" TO spy")
	return func(ctx context.Context) { m.sql(ctx, "postgres", "DROP ROLE spy") }
}

// keepChanging changes the tenant's login again and again, which the operator each time undoes.
func (m *monitored) keepChanging(context.Context) func(context.Context) {
	GinkgoHelper()
	Expect(komega.Get(m.acme)()).To(Succeed())
	login := m.acme.Status.Database.Login
	return m.repeatedly(func(ctx context.Context, round int) error {
		return environment.Exec(ctx, m.Postgres, "postgres", fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", login, 3+round%2))
	})
}

// repeatedly does something four times a second until the function that it returns is called.
func (m *monitored) repeatedly(act func(ctx context.Context, round int) error) func(context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(250 * time.Millisecond)
		defer ticker.Stop()
		for round := 0; ; round++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				_ = act(ctx, round) // The operator may be changing the same thing.
			}
		}
	}()
	return func(context.Context) {
		cancel()
		<-done
	}
}

// lockPreparation holds the lock that the operator needs to look at the databases that tenants share.
func (m *monitored) lockPreparation(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	holder, err := pgx.Connect(ctx, m.Postgres.URL("tenantry_schema"))
	Expect(err).NotTo(HaveOccurred())
	for _, statement := range []string{"BEGIN", "LOCK TABLE tenantry.preparation IN ACCESS EXCLUSIVE MODE"} {
		_, err := holder.Exec(ctx, statement)
		Expect(err).NotTo(HaveOccurred())
	}
	return func(ctx context.Context) { Expect(holder.Close(ctx)).To(Succeed()) }
}

// takeRights takes the right to write the status of Tenants from the operator, while Tenants change.
func (m *monitored) takeRights(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "tenantry-manager"}}
	Expect(komega.Get(role)()).To(Succeed())
	rules := role.DeepCopy().Rules
	change(ctx, role, func() {
		for n := range role.Rules {
			role.Rules[n].Resources = slices.DeleteFunc(role.Rules[n].Resources, func(name string) bool { return name == "tenants/status" })
		}
		role.Rules = slices.DeleteFunc(role.Rules, func(rule rbacv1.PolicyRule) bool {
			return len(rule.Resources)+len(rule.NonResourceURLs) == 0
		})
	})
	stop := m.repeatedly(func(ctx context.Context, round int) error {
		before := m.acme.DeepCopy()
		m.acme.Spec.DisplayName = fmt.Sprintf("Acme %d", round)
		return m.Client.Patch(ctx, m.acme, client.MergeFrom(before))
	})
	return func(ctx context.Context) {
		stop(ctx)
		change(ctx, role, func() { role.Rules = rules })
	}
}

// queueUp changes many tenants whose database server takes its time.
func (m *monitored) queueUp(ctx context.Context) func(context.Context) {
	GinkgoHelper()
	var crowd []*v1alpha1.Tenant
	for n := range 70 {
		tenant := builders.Tenant(fmt.Sprintf("crowd-%d", n)).Database(slow).Isolation(v1alpha1.DatabaseIsolationSchema).Build()
		Expect(m.Client.Create(ctx, tenant)).To(Succeed())
		crowd = append(crowd, tenant)
	}
	for _, tenant := range crowd {
		Eventually(ctx, komega.Object(tenant)).Should(beReady())
	}
	m.line.delay.Store(int64(2 * time.Second))
	for _, tenant := range crowd {
		change(ctx, tenant, func() { tenant.Spec.Database.ConnectionLimit = 7 })
	}
	return func(context.Context) { m.line.delay.Store(0) }
}

func beReady() gomegatypes.GomegaMatcher {
	return HaveField("Status.Conditions", ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
}
