package faults

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	// otherLimit differs from the default of spec.database.connectionLimit.
	otherLimit = 7
	// request asks for a new password.
	request = "leaked"
	// hold is a finalizer that keeps a namespace from being deleted until it is removed.
	hold = "faults.test/hold"
)

// What PostgreSQL has for a provisioned tenant, and the table of one that has data.
var (
	provisioned = []any{
		HavePrefix("registry: DATABASE is Active for TENANT UID by Database, secured t"),
		HavePrefix("role: DATABASE limit"), HavePrefix("role: DATABASE_0 limit"), HavePrefix("role: DATABASE_1 limit"),
		HavePrefix("database: DATABASE of tenantry_owner"), HavePrefix("schema: public of DATABASE"),
	}
	orders = "table: orders of DATABASE"
)

var provisioning = work{
	name: "provisions a tenant", tenant: whole, start: create, done: ready,
	check: func(ctx context.Context, tenant *v1alpha1.Tenant, found state) {
		GinkgoHelper()
		Expect(found.Database).To(ConsistOf(provisioned))
		expectLogin(ctx, tenant)
	},
}

var change = work{
	name: "changes a connection limit", tenant: whole, prepare: fill, start: changeConnectionLimit, done: ready,
	check: func(ctx context.Context, tenant *v1alpha1.Tenant, found state) {
		GinkgoHelper()
		Expect(found.Database).To(ConsistOf(slices.Concat(provisioned, []any{orders})))
		Expect(found.Database).To(ContainElements(
			HavePrefix("role: DATABASE_0 limit 7, login t"), HavePrefix("database: DATABASE of tenantry_owner limit 7, open t")))
		expectLogin(ctx, tenant)
	},
}

// rotation ends with the second login, and nothing is left of the first login or of a third password.
var rotation = work{
	name: "rotates a password", tenant: func(name string) *builders.TenantBuilder { return whole(name).Rotation(0, 0) },
	prepare: fill, start: requestRotation, replaces: true,
	done: func(ctx context.Context, tenant *v1alpha1.Tenant) (bool, error) {
		found := &v1alpha1.Tenant{}
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), found)
		at := found.Status.Database
		return err == nil && at != nil && at.RotationRequest == request && at.FormerLoginUntil == nil &&
			apimeta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReady), err
	},
	check: func(ctx context.Context, tenant *v1alpha1.Tenant, found state) {
		GinkgoHelper()
		Expect(found.Database).To(ContainElements(orders,
			HavePrefix("role: DATABASE_0 limit 20, login f, password f"), HavePrefix("role: DATABASE_1 limit 20, login t, password t")))
		expectLogin(ctx, tenant)
	},
}

var deletion = work{
	name: "deletes a tenant", tenant: deletable(v1alpha1.ReclaimPolicyDelete), prepare: fill, start: remove, done: gone,
	check: expectNothing,
}

var dropping = work{
	name:   "drops the database of a deleted tenant",
	tenant: deletable(v1alpha1.ReclaimPolicyDelete), prepare: removeAllButNamespace, start: releaseNamespace, done: gone,
	check: expectNothing,
}

var retention = work{
	name:   "retains the database of a deleted tenant",
	tenant: deletable(v1alpha1.ReclaimPolicyRetain), prepare: removeAllButNamespace, start: releaseNamespace, done: gone,
	check: func(_ context.Context, _ *v1alpha1.Tenant, found state) {
		GinkgoHelper()
		Expect(found.Objects).To(BeEmpty())
		Expect(found.Database).To(ContainElements(HavePrefix("registry: DATABASE is Retained for TENANT UID"), orders))
		Expect(found.Database).NotTo(ContainElement(MatchRegexp("^role: .*(login t|password t)")))
	},
}

// sharing returns work for tenants that share a database, which differs from the other work only in PostgreSQL.
func sharing() []work {
	var all []work
	for _, isolation := range []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow} {
		of := func(name string) *builders.TenantBuilder {
			return builders.Tenant(name).Database(databaseServer).Isolation(isolation).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete)
		}
		all = append(all,
			work{
				name: "provisions a tenant of isolation " + string(isolation), tenant: of, start: create, done: ready,
				check: func(ctx context.Context, tenant *v1alpha1.Tenant, found state) {
					GinkgoHelper()
					Expect(found.Database).To(ContainElement(HavePrefix("registry: DATABASE is Active for TENANT UID by " + string(isolation))))
					expectLogin(ctx, tenant)
				},
			},
			work{
				name: "drops what a deleted tenant of isolation " + string(isolation) + " had", tenant: of,
				prepare: removeAllButNamespace, start: releaseNamespace, done: gone, check: expectNothing,
			},
			work{
				name:    "rotates a password of isolation " + string(isolation),
				tenant:  func(name string) *builders.TenantBuilder { return of(name).Rotation(0, 0) },
				prepare: fill, start: requestRotation, replaces: true, done: rotation.done,
				check: func(ctx context.Context, tenant *v1alpha1.Tenant, found state) {
					GinkgoHelper()
					Expect(found.Database).To(ContainElements(
						HavePrefix("role: DATABASE_0 limit 20, login f, password f"), HavePrefix("role: DATABASE_1 limit 20, login t, password t")))
					expectLogin(ctx, tenant)
				},
			})
	}
	return all
}

// whole begins a tenant that has every part.
func whole(name string) *builders.TenantBuilder {
	return builders.Tenant(name).
		DisplayName("The "+name+" company").
		Owner(v1alpha1.OwnerKindUser, "alice@example", v1alpha1.OwnerRoleAdmin).
		Owner(v1alpha1.OwnerKindGroup, "devs@example", v1alpha1.OwnerRoleEditor).
		Quota(corev1.ResourcePods, "10").
		Ingress(networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "ingress-nginx"}},
		}}}).
		Database(databaseServer).
		App("registry.example/shop:1").Port(8080).Replicas(2).
		Config("LOG_LEVEL", "info")
}

// deletable begins a tenant without pods, since the deletion of the namespace would wait for them.
func deletable(policy v1alpha1.ReclaimPolicy) func(string) *builders.TenantBuilder {
	return func(name string) *builders.TenantBuilder { return whole(name).Replicas(0).ReclaimPolicy(policy) }
}

func create(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Expect(env.Client.Create(ctx, tenant)).To(Succeed())
}

func remove(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
}

func changeConnectionLimit(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.Database.ConnectionLimit = otherLimit })).Should(Succeed())
}

func requestRotation(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Eventually(ctx, komega.Update(tenant, func() {
		tenant.Annotations = map[string]string{v1alpha1.AnnotationRotateCredentials: request}
	})).Should(Succeed())
}

// fill creates tenants, waits until they are Ready, and puts data into their databases.
func fill(ctx context.Context, tenants []*v1alpha1.Tenant) {
	GinkgoHelper()
	for _, tenant := range tenants {
		create(ctx, tenant)
	}
	for _, tenant := range tenants {
		Eventually(ctx, ready).WithArguments(ctx, tenant).Should(BeTrue(), tenant.Name)
		session, err := env.Login(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		statement := "CREATE TABLE orders AS SELECT 42 AS number"
		if tenant.Spec.Database.Isolation == v1alpha1.DatabaseIsolationRow {
			statement = "INSERT INTO orders VALUES (42)"
		}
		_, err = session.Exec(ctx, statement)
		Expect(err).NotTo(HaveOccurred())
		Expect(session.Close(ctx)).To(Succeed())
	}
}

// removeAllButNamespace deletes tenants up to the point where their databases are next. Their namespaces, which
// Kubernetes needs five seconds to start deleting, are empty and wait for releaseNamespace.
func removeAllButNamespace(ctx context.Context, tenants []*v1alpha1.Tenant) {
	GinkgoHelper()
	fill(ctx, tenants)
	for _, tenant := range tenants {
		namespace := namespaceOf(tenant)
		Eventually(ctx, komega.Update(namespace, func() { controllerutil.AddFinalizer(namespace, hold) })).Should(Succeed())
		remove(ctx, tenant)
	}
	for _, tenant := range tenants {
		Eventually(ctx, komega.Object(namespaceOf(tenant))).Should(HaveField("Spec.Finalizers", BeEmpty()))
	}
}

func releaseNamespace(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	namespace := namespaceOf(tenant)
	Eventually(ctx, komega.Update(namespace, func() { controllerutil.RemoveFinalizer(namespace, hold) })).Should(Succeed())
}

func namespaceOf(tenant *v1alpha1.Tenant) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant.Name}}
}

// ready reports whether the tenant is Ready with its current spec.
func ready(ctx context.Context, tenant *v1alpha1.Tenant) (bool, error) {
	found := &v1alpha1.Tenant{}
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), found)
	return found.Status.ObservedGeneration == found.Generation &&
		apimeta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionReady), err
}

func gone(ctx context.Context, tenant *v1alpha1.Tenant) (bool, error) {
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), &v1alpha1.Tenant{})
	return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
}

// expectLogin expects that the login in the tenant's Secret works.
func expectLogin(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	session, err := env.Login(ctx, tenant)
	Expect(err).NotTo(HaveOccurred())
	Expect(session.Close(ctx)).To(Succeed())
}

func expectNothing(_ context.Context, _ *v1alpha1.Tenant, found state) {
	GinkgoHelper()
	Expect(found.Objects).To(BeEmpty())
	Expect(found.Database).To(BeEmpty())
}
