package examples

import (
	"context"
	"os"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/hack/browser"
)

// offer is what all pages with a feature say, by which they show that it is on.
const offer = "Delivery is free."

// chromium is the browser of all specs. The first that needs it starts it.
var chromium = sync.OnceValues(func() (*browser.Browser, error) {
	started, err := browser.Start(context.Background(), GinkgoWriter)
	if err == nil {
		closeBrowser = started.Stop
	}
	return started, err
})

var closeBrowser = func() error { return nil }

var _ = AfterSuite(func() { Expect(closeBrowser()).To(Succeed()) })

// page opens the page of an app as a person does. It skips the spec where there is no browser, but not in CI.
func (a *app) page(ctx context.Context) *browser.Page {
	GinkgoHelper()
	opener, err := chromium()
	if err != nil && os.Getenv("CI") == "" {
		Skip("Chromium CAN'T BE HAD, so the page is NOT looked at: " + err.Error())
	}
	Expect(err).NotTo(HaveOccurred())
	page, err := opener.Open(ctx, a.url+"/")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(page.Close)
	return page
}

// fillIn writes into the fields of a page's form, each a label and a text, and sends it.
func fillIn(ctx context.Context, page *browser.Page, fields ...[2]string) {
	GinkgoHelper()
	for _, field := range fields {
		Expect(page.Write(ctx, field[0], field[1])).To(Succeed())
	}
	Expect(page.Press(ctx, "Order")).To(Succeed())
}

// takesOrders has a person order on an app's page, and then order what is there already.
func takesOrders(ctx context.Context, shop string, app *app) {
	GinkgoHelper()
	before, page := app.orders(ctx), app.page(ctx)
	Eventually(ctx, page.Text).Should(And(HavePrefix(shop+"\n"), ContainSubstring("\n%s\t", before[0].Number)))
	fillIn(ctx, page, [2]string{"Order", "P-1"}, [2]string{"Article", "<hinge>"}, [2]string{"Quantity", "2"})
	Eventually(ctx, page.Text).Should(ContainSubstring("\nP-1\t2 <hinge>\t"))
	after := app.orders(ctx)
	Expect(after[:len(after)-1]).To(Equal(before))
	Expect(after[len(before)]).To(And(HaveField("Number", "P-1"), HaveField("Lines", []line{{"<hinge>", 2}})))
	fillIn(ctx, page, [2]string{"Order", "P-1"}, [2]string{"Article", "screw"})
	Eventually(ctx, page.Text).Should(And(ContainSubstring("There is an order P-1 already."), Not(ContainSubstring("screw"))))
	Expect(app.orders(ctx)).To(Equal(after))
}

// refusesInForm has a person order with a value of a custom field that the tenant doesn't allow, and then with another
// one.
func refusesInForm(ctx context.Context, app *app, field, bad, sentence, good string) {
	GinkgoHelper()
	before, page := app.orders(ctx), app.page(ctx)
	fillIn(ctx, page, [2]string{"Order", "P-2"}, [2]string{"Article", "latch"}, [2]string{field, bad})
	Eventually(ctx, page.Text).Should(ContainSubstring(sentence))
	Expect(app.orders(ctx)).To(Equal(before))
	fillIn(ctx, page, [2]string{field, good})
	Eventually(ctx, page.Text).Should(And(ContainSubstring("\nP-2\t1 latch\t%s\t", good), Not(ContainSubstring(sentence))))
}
