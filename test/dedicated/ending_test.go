package dedicated

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// accessEnds is how long anybody may keep access to a tenant that is being deleted.
const accessEnds = 5 * time.Second

// forever is a finalizer that nobody takes off but free.
const forever = "example.com/forever"

func free(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(env.Client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
}

// held gives an object the finalizer, until free or the end of the spec.
func held[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	Eventually(ctx, komega.Update(object, func() { object.SetFinalizers(append(object.GetFinalizers(), forever)) })).Should(Succeed())
	DeferCleanup(func(ctx SpecContext) { free(ctx, object) })
	return object
}

// lasting is the tenant's login as somebody has it who keeps a copy of the Secret.
func lasting(ctx context.Context, tenant *v1alpha1.Tenant) (config *pgx.ConnConfig) {
	GinkgoHelper()
	conn, err := connect(ctx, tenant)
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close(ctx)
	return conn.Config()
}

func logsIn(ctx context.Context, config *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, accessEnds)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

var _ = Describe("The end of a tenant with a server of its own", Label("K2"), func() {
	It("ends access first, and names what it waits for", func(ctx SpecContext) {
		const owner = "admin@parting"
		tenant := apply(ctx, isolated("parting").Owner(v1alpha1.OwnerKindUser, owner, v1alpha1.OwnerRoleAdmin).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		waitReady(ctx, tenant)
		as := env.Kubernetes.Config()
		as.Impersonate = rest.ImpersonationConfig{UserName: owner, Groups: []string{"system:authenticated"}}
		user, err := client.New(as, client.Options{Scheme: env.Client.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		secrets := func() error { return user.List(ctx, &corev1.SecretList{}, client.InNamespace("parting")) }
		Eventually(ctx, secrets).Should(Succeed())
		former := lasting(ctx, tenant)
		open, err := connect(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) { open.Close(ctx) })

		By("holding the login by a transaction, and the end by finalizers in the namespace and of the server")
		for _, statement := range []string{"SET ROLE NONE", "BEGIN", fmt.Sprintf("ALTER ROLE %q PASSWORD 'b'", tenant.Status.Database.Login)} {
			Expect(open.Exec(ctx, statement)).Error().NotTo(HaveOccurred(), statement)
		}
		note := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "parting", Name: "note"}}
		Expect(user.Create(ctx, note)).To(Succeed())
		held(ctx, note)
		set, claim := held(ctx, inDatabases(tenant, &appsv1.StatefulSet{}, "")), held(ctx, inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data"))

		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			g.Expect(secrets()).NotTo(Succeed())
			g.Expect(open.Ping(ctx)).NotTo(Succeed())
			g.Expect(logsIn(ctx, former)).NotTo(Succeed())
		}).WithTimeout(accessEnds).Should(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionFalse, And(
			ContainSubstring("The namespace parting is being deleted: "), ContainSubstring(forever))))
		free(ctx, note)

		By("the server")
		waitGone(ctx, tenant)
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(says(metav1.ConditionFalse, And(
			ContainSubstring(forever), ContainSubstring(`StatefulSet "`), ContainSubstring(`PersistentVolumeClaim "`))))
		free(ctx, set)
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(says(metav1.ConditionFalse, And(
			ContainSubstring(forever), Not(ContainSubstring(`StatefulSet "`)), ContainSubstring(`PersistentVolumeClaim "`))))
		free(ctx, claim)
		waitGone(ctx, serverOf(tenant))
		waitGone(ctx, claim)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A server whose Tenant was removed without the operator", Label("D1"), Serial, func() {
	// replacedByForce removes a Tenant by force while the operator is down, and applies another one of its name. It returns
	// the new one and the name of the former's database, in which nobody has access any more.
	replacedByForce := func(ctx context.Context, name string, policy v1alpha1.ReclaimPolicy) (second *v1alpha1.Tenant, database string) {
		GinkgoHelper()
		tenant := apply(ctx, isolated(name).ReclaimPolicy(policy))
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')", "SELECT 1")).To(Equal("[1]"))
		former := lasting(ctx, tenant)
		open, err := connect(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) { open.Close(ctx) })
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.RestartOperator(ctx) })
		Expect(change(ctx, tenant, func() { tenant.Finalizers = nil })).To(Succeed())
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		waitGone(ctx, tenant)
		waitGone(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		second = apply(ctx, isolated(name).ReclaimPolicy(policy))
		Expect(env.StartOperator(ctx)).To(Succeed())

		Eventually(ctx, komega.Object(second)).Should(says(metav1.ConditionFalse, And(
			ContainSubstring("DatabaseServer %q exists already and is left as it is", serverOf(tenant).Name),
			ContainSubstring("set spec.adoptObjects of the Tenant to true; otherwise, delete it"))))
		Eventually(ctx, func() error { return logsIn(ctx, former) }).ShouldNot(Succeed())
		Eventually(ctx, open.Ping).WithArguments(ctx).ShouldNot(Succeed())
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(HaveField("Status.Retained", ContainElement(And(
			HaveField("Name", tenant.Status.Database.Name), HaveField("Tenant", name)))))
		return second, tenant.Status.Database.Name
	}

	takeOver := func(ctx context.Context, second *v1alpha1.Tenant, database string) {
		GinkgoHelper()
		Eventually(ctx, komega.Object(second)).Should(says(metav1.ConditionFalse,
			ContainSubstring("has the data of another database; its annotation tenantry.dev/database says which, to take it over by spec.database.adopt")))
		Expect(change(ctx, second, func() { second.Spec.Database.Adopt = database })).To(Succeed())
		waitReady(ctx, second)
		Expect(ask(ctx, second, "SELECT text FROM notes")).To(Equal("[kept]"))
	}

	It("lets nobody in, and is taken over by a new Tenant of the name that asks for it", func(ctx SpecContext) {
		second, database := replacedByForce(ctx, "haunted", v1alpha1.ReclaimPolicyDelete)
		Expect(change(ctx, second, func() { second.Spec.AdoptObjects = true })).To(Succeed())
		takeOver(ctx, second, database)
	}, SpecTimeout(specTimeout))

	It("leaves its data to a new Tenant of the name that asks for them, once it is deleted", func(ctx SpecContext) {
		second, database := replacedByForce(ctx, "exorcised", v1alpha1.ReclaimPolicyRetain)
		Expect(env.Client.Delete(ctx, serverOf(second))).To(Succeed())
		takeOver(ctx, second, database)
	}, SpecTimeout(specTimeout))
})
