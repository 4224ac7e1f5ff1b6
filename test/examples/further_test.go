package examples

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// further are the specs of what an app shows beside what all of them do. They find two tenants with orders of their own.
var further = map[string]func(tenants *[2]*v1alpha1.Tenant, apps *[2]*app){
	"django":  describeDjango,
	"fastapi": describeFastAPI,
	"flask":   describeFlask,
	"pyramid": describePyramid,
}

func describeDjango(tenants *[2]*v1alpha1.Tenant, apps *[2]*app) {
	It("goes on taking orders of its former version, which doesn't know all columns", func(ctx SpecContext) {
		values, err := secret(ctx, tenants[0].Name, "database")
		Expect(err).NotTo(HaveOccurred())
		conn, err := pgx.Connect(ctx, values["uri"])
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(conn.Close)
		var id int64
		Expect(conn.QueryRow(ctx, "INSERT INTO orders_order (number, paid) VALUES ('B-0', false) RETURNING id").Scan(&id)).To(Succeed())
		Expect(apps[0].orders(ctx)).To(ContainElement(order{ID: id, Number: "B-0", State: "new", Fields: map[string]any{}, Lines: []line{}}))
	}, SpecTimeout(specTimeout))

	It("has its worker pack its own orders, but one that somebody is at", func(ctx SpecContext) {
		tenant, app, neighbor := tenants[0], apps[0], apps[1]
		theirs, held, free := neighbor.orders(ctx), app.orders(ctx)[0], app.create(ctx, order{Number: "C-1", Lines: []line{}})
		release := hold(ctx, tenant, held.ID)
		pod, err := podOf(ctx, tenant, "packing")
		Expect(err).NotTo(HaveOccurred())
		worker, err := launch(ctx, tenant, "django", pod)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(worker.Kill)

		inState := func(id int64, state string) OmegaMatcher {
			return ContainElement(And(HaveField("ID", id), HaveField("State", state)))
		}
		Eventually(ctx, app.orders).Should(inState(free.ID, "packed"))
		Expect(app.orders(ctx)).To(inState(held.ID, "new"))
		release()
		Eventually(ctx, app.orders).Should(inState(held.ID, "packed"))
		Expect(worker.stop()).To(Succeed())
		Expect(worker.ExitCode()).To(BeZero(), "it ends when it is told to")
		Expect(neighbor.orders(ctx)).To(Equal(theirs))
	}, SpecTimeout(specTimeout))

	It("bills by its schedule what is packed, once", func(ctx SpecContext) {
		theirs, packed := apps[1].orders(ctx), len(apps[0].orders(ctx))
		apps[0].create(ctx, order{Number: "C-2", Lines: []line{}})
		Expect(runSchedule(ctx, tenants[0], "django", "bill")).To(ContainSubstring("Billed orders: %d.", packed))
		Expect(apps[0].orders(ctx)).To(And(HaveLen(packed+1), ContainElement(HaveField("State", "new"))))
		Expect(runSchedule(ctx, tenants[0], "django", "bill")).To(ContainSubstring("Billed orders: 0."))
		Expect(apps[1].orders(ctx)).To(Equal(theirs))
	}, SpecTimeout(specTimeout))

	It("stores values of its custom fields, and refuses what its tenant doesn't allow", func(ctx SpecContext) {
		refusesOtherFields(ctx, apps[0], map[string]any{"costCentre": "4711"}, map[string]any{"costCentre": "47"}, map[string]any{"color": "red"})
	}, SpecTimeout(specTimeout))

	It("shows people its color, its offer, the custom field and what its worker and schedule have done", func(ctx SpecContext) {
		page := apps[0].page(ctx)
		Expect(page.Color(ctx, "header")).To(Equal("rgb(11, 79, 60)"), "that of SHOP_COLOR")
		Expect(page.Text(ctx)).To(And(
			HavePrefix("The shop of %s\n\n%s\n", tenants[0].Name, offer), ContainSubstring("Order\tArticles\tCost center\tState\tPaid\n"),
			ContainSubstring("\nA-1\t3 bolt of %[1]s, 4 nut of %[1]s\t\tbilled\tyes\n", tenants[0].Name), ContainSubstring("\nD-1\t\t4711\tnew\tno\n")))
	}, SpecTimeout(specTimeout))

	It("tells people what is wrong with a custom field", func(ctx SpecContext) {
		refusesInForm(ctx, apps[0], "Cost center", "47", "fields.costCentre: '47' does not match '^[0-9]{4}$'", "4712")
	}, SpecTimeout(specTimeout))

	It("changes the page with a feature, in the app that runs", func(ctx SpecContext) {
		changesPageByFeature(ctx, tenants, apps)
	}, SpecTimeout(specTimeout))

	It("has migrated once, whatever has changed since", func(ctx SpecContext) {
		for _, tenant := range tenants {
			Expect(migrations(ctx, tenant)).To(HaveLen(1))
			Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.App.Migration.Image", tenant.Spec.App.Image))
		}
	}, SpecTimeout(specTimeout))
}

func describeFastAPI(tenants *[2]*v1alpha1.Tenant, apps *[2]*app) {
	It("changes the page with a feature, in the app that runs", func(ctx SpecContext) {
		changesPageByFeature(ctx, tenants, apps)
	}, SpecTimeout(specTimeout))
}

func describeFlask(tenants *[2]*v1alpha1.Tenant, apps *[2]*app) {
	It("deletes by its schedule what has been paid", func(ctx SpecContext) {
		own, theirs := apps[0].orders(ctx), apps[1].orders(ctx)
		Expect(runSchedule(ctx, tenants[0], "flask", "clean-up")).To(ContainSubstring("Deleted orders: 1."))
		Expect(apps[0].orders(ctx)).To(Equal(own[1:]))
		Expect(runSchedule(ctx, tenants[0], "flask", "clean-up")).To(ContainSubstring("Deleted orders: 0."))
		Expect(apps[1].orders(ctx)).To(Equal(theirs))
	}, SpecTimeout(specTimeout))
}

func describePyramid(_ *[2]*v1alpha1.Tenant, apps *[2]*app) {
	It("stores values of its custom fields, and refuses what its tenant doesn't allow", func(ctx SpecContext) {
		refusesOtherFields(ctx, apps[0], map[string]any{"giftNote": "Many happy returns"}, map[string]any{"giftNote": 1}, map[string]any{"color": "red"})
	}, SpecTimeout(specTimeout))

	It("tells people what is wrong with a custom field", func(ctx SpecContext) {
		tooMuch := strings.Repeat("x", 41)
		refusesInForm(ctx, apps[0], "Gift note", tooMuch, "'"+tooMuch+"' is too long", "Get well soon")
	}, SpecTimeout(specTimeout))
}

// refusesOtherFields has an app store an order with good values of its custom fields, and refuse others.
func refusesOtherFields(ctx context.Context, app *app, good map[string]any, bad ...map[string]any) {
	GinkgoHelper()
	created := app.create(ctx, order{Number: "D-1", Lines: []line{}, Fields: good})
	Expect(created.Fields).To(Equal(good))
	for i, fields := range bad {
		wanted := order{Number: fmt.Sprintf("D-%d", i+2), Lines: []line{}, Fields: fields}
		Expect(app.call(ctx, http.MethodPost, "/orders", wanted, nil)).To(Equal(http.StatusUnprocessableEntity))
	}
	orders := app.orders(ctx)
	Expect(orders[len(orders)-1]).To(Equal(created))
}

// changesPageByFeature turns a feature of the first of two tenants off. People see that when they load the page again.
func changesPageByFeature(ctx context.Context, tenants *[2]*v1alpha1.Tenant, apps *[2]*app) {
	GinkgoHelper()
	page, neighbors := apps[0].page(ctx), apps[1].page(ctx)
	Eventually(ctx, page.Text).Should(ContainSubstring(offer))
	turnOff(ctx, tenants[0], apps[0])
	Eventually(ctx, func() (string, error) {
		if err := errors.Join(apps[0].write(ctx), page.Reload(ctx)); err != nil {
			return "", err
		}
		return page.Text(ctx)
	}).Should(And(HavePrefix("The shop of "+tenants[0].Name), Not(ContainSubstring(offer))))
	Expect(neighbors.Reload(ctx)).To(Succeed())
	Eventually(ctx, neighbors.Text).Should(ContainSubstring(offer))
}

// turnOff turns a tenant's feature off. Its app watches the files, so that its pods stay.
func turnOff(ctx context.Context, tenant *v1alpha1.Tenant, app *app) {
	GinkgoHelper()
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: "app"}}
	Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	before := deployment.Spec.Template
	Eventually(ctx, komega.Update(tenant, func() {
		tenant.Spec.Features["free-delivery"] = apiextensionsv1.JSON{Raw: []byte("false")}
	})).Should(Succeed())
	Eventually(ctx, komega.Object(tenant)).Should(beReady(tenant.Generation))
	Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	Expect(deployment.Spec.Template).To(Equal(before))
	Expect(app.Alive()).To(BeTrue())
}

// hold locks an order as somebody does who works on it, until release is called.
func hold(ctx context.Context, tenant *v1alpha1.Tenant, id int64) (release func()) {
	GinkgoHelper()
	values, err := secret(ctx, tenant.Name, "database")
	Expect(err).NotTo(HaveOccurred())
	conn, err := pgx.Connect(ctx, values["uri"])
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(conn.Close)
	transaction, err := conn.Begin(ctx)
	Expect(err).NotTo(HaveOccurred())
	var locked int64
	Expect(transaction.QueryRow(ctx, "SELECT id FROM orders_order WHERE id = $1 FOR UPDATE", id).Scan(&locked)).To(Succeed())
	return func() {
		GinkgoHelper()
		Expect(transaction.Rollback(ctx)).To(Succeed())
	}
}
