package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/environment"
)

// requestRotation asks for a new password.
func requestRotation(ctx context.Context, tenant *v1alpha1.Tenant, request string) {
	GinkgoHelper()
	kubectl(ctx, "annotate", "--overwrite", "tenant", tenant.Name, "tenantry.dev/rotate-credentials="+request)
}

// loginOf returns the role in the tenant's Secret.
func loginOf(ctx context.Context, tenant *v1alpha1.Tenant) string {
	GinkgoHelper()
	return string(read(ctx, in(tenant, &corev1.Secret{}, "database")).Data["username"])
}

// rotated waits until the tenant has another login than this one, and is Ready with it.
func rotated(ctx context.Context, tenant *v1alpha1.Tenant, from string) {
	GinkgoHelper()
	Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), HaveField("Status.Database.Login", Not(Equal(from)))))
	Expect(loginOf(ctx, tenant)).To(Equal(tenant.Status.Database.Login))
}

// enabledLogins returns the roles of the tenant that can log in.
func enabledLogins(ctx context.Context, tenant *v1alpha1.Tenant) func() ([]string, error) {
	return func() ([]string, error) {
		return environment.Query[string](ctx, env.Postgres, "postgres",
			"SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL AND starts_with(rolname, $1)", tenant.Status.Database.Name)
	}
}

// app is a client that queries without pause and, like a pod, reads its login from a file that is written some
// time after the Secret. It reconnects from time to time.
type app struct {
	path     string
	queries  int
	sessions int
	logins   map[string]bool
}

// mount writes the Secret into the file whenever it has changed, as late as the kubelet might.
func (a *app) mount(ctx context.Context, tenant *v1alpha1.Tenant, lag time.Duration) error {
	secret := in(tenant, &corev1.Secret{}, "database")
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(lag):
	}
	next := a.path + ".next"
	if err := os.WriteFile(next, secret.Data["uri"], 0o600); err != nil {
		return err
	}
	return os.Rename(next, a.path)
}

// run queries until the context ends, and returns the first failure.
func (a *app) run(ctx context.Context) error {
	const queriesPerSession = 50
	for ctx.Err() == nil {
		uri, err := os.ReadFile(a.path)
		if err != nil {
			return err
		}
		conn, err := pgx.Connect(context.Background(), string(uri))
		if err != nil {
			return fmt.Errorf("session %d: %w", a.sessions, err)
		}
		a.sessions++
		a.logins[conn.Config().User] = true
		for range queriesPerSession {
			if _, err := conn.Exec(context.Background(), "UPDATE counter SET value = value + 1"); err != nil {
				return fmt.Errorf("query %d: %w", a.queries, err)
			}
			a.queries++
		}
		if err := conn.Close(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

var _ = Describe("The password of a tenant", func() {
	It("changes three times under an app that queries without pause, and no query fails", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("restless").Rotation(0, 3*time.Second))
		lasting := session(ctx, tenant)
		_, err := lasting.Exec(ctx, "CREATE TABLE counter AS SELECT 0 AS value")
		Expect(err).NotTo(HaveOccurred())

		client := &app{path: filepath.Join(GinkgoT().TempDir(), "uri"), logins: map[string]bool{}}
		Expect(client.mount(ctx, tenant, 0)).To(Succeed())
		running, stop := context.WithCancel(ctx)
		defer stop()
		ended := make(chan error, 2)
		mounted := tenant.DeepCopy() // Others read into the tenant meanwhile.
		go func() {
			for running.Err() == nil {
				if err := client.mount(running, mounted, 500*time.Millisecond); err != nil && running.Err() == nil {
					ended <- err
					return
				}
			}
		}()
		go func() { ended <- client.run(running) }()

		passwords := map[string]bool{}
		for number := range 3 {
			before := read(ctx, in(tenant, &corev1.Secret{}, "database")).Data
			passwords[string(before["password"])] = true
			pods := podUIDs(ctx, tenant)
			requestRotation(ctx, tenant, fmt.Sprint(number))
			rotated(ctx, tenant, string(before["username"]))
			Eventually(ctx, func() []types.UID { return podUIDs(ctx, tenant) }).Should(And(HaveLen(2), Not(ContainElements(pods))))
			Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Database.FormerLoginUntil", BeNil()))
			Expect(enabledLogins(ctx, tenant)()).To(ConsistOf(tenant.Status.Database.Login))
		}
		stop()
		Expect(<-ended).To(Succeed())
		Expect(client.logins).To(HaveLen(2))
		Expect(passwords).To(HaveLen(3))
		AddReportEntry("under load", fmt.Sprintf("%d queries in %d sessions", client.queries, client.sessions))

		By("a session from before the first rotation goes on")
		var value int
		Expect(lasting.QueryRow(ctx, "SELECT value FROM counter").Scan(&value)).To(Succeed())
		Expect(value).To(Equal(client.queries))
	}, SpecTimeout(specTimeout))

	It("changes by its schedule, and says when the next time is", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("scheduled", shared).Rotation(10*time.Second, time.Second))
		first := tenant.Status.Database
		Expect(first.NextRotation.Sub(first.RotatedAt.Time)).To(Equal(10 * time.Second))
		rotated(ctx, tenant, first.Login)
		Expect(tenant.Status.Database.RotatedAt.Time).To(BeTemporally(">=", first.NextRotation.Time))
		rotated(ctx, tenant, tenant.Status.Database.Login)
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("changes once for each request, and not for one that was taken back", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("on-demand", shared).Rotation(0, 0))
		first := tenant.Status.Database.Login
		requestRotation(ctx, tenant, "leaked")
		rotated(ctx, tenant, first)
		Expect(tenant.Status.Database.RotationRequest).To(Equal("leaked"))
		second := tenant.Status.Database.DeepCopy()
		kubectl(ctx, "annotate", "tenant", tenant.Name, "tenantry.dev/rotate-credentials-")
		requestRotation(ctx, tenant, "leaked")
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Once more" })
		waitReady(ctx, tenant)
		Expect(tenant.Status.Database.RotatedAt).To(Equal(second.RotatedAt))
		requestRotation(ctx, tenant, "again")
		rotated(ctx, tenant, second.Login)
		third := tenant.Status.Database.Login
		requestRotation(ctx, tenant, strings.Repeat("for a long reason ", 50))
		rotated(ctx, tenant, third)
	}, SpecTimeout(specTimeout))

	It("is replaced when its Secret is deleted, by one for the other login, so that the app that runs goes on", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("deleted-secret"))
		before := read(ctx, in(tenant, &corev1.Secret{}, "database")).DeepCopy()
		pods := podUIDs(ctx, tenant)
		Expect(env.Client.Delete(ctx, before.DeepCopy())).To(Succeed())
		rotated(ctx, tenant, string(before.Data["username"]))
		Expect(ping(ctx, tenant)).To(Succeed())
		Expect(read(ctx, in(tenant, &corev1.Secret{}, "database")).Data).NotTo(Or(
			HaveKeyWithValue("password", before.Data["password"]), HaveKey("next-password")))
		former, err := pgx.Connect(ctx, string(before.Data["uri"]))
		Expect(err).NotTo(HaveOccurred())
		Expect(former.Close(ctx)).To(Succeed())
		Eventually(ctx, func() []types.UID { return podUIDs(ctx, tenant) }).Should(And(HaveLen(2), Not(ContainElements(pods))))
	}, SpecTimeout(specTimeout))

	It("is replaced each time its Secret is deleted, also while the operator is at work on the tenant", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("often-deleted-secret", shared))
		editing, stop := context.WithCancel(ctx)
		var edits sync.WaitGroup
		defer edits.Wait()
		defer stop()
		edits.Go(func() {
			for n := 0; editing.Err() == nil; n++ {
				_ = env.Client.Patch(editing, namespaceOf(tenant), client.RawPatch(types.MergePatchType,
					fmt.Appendf(nil, `{"metadata":{"annotations":{"tenantry.dev/display-name":"%d"}}}`, n)))
			}
		})
		for range 20 {
			before := read(ctx, in(tenant, &corev1.Secret{}, "database"))
			Expect(env.Client.Delete(ctx, before)).To(Succeed())
			rotated(ctx, tenant, string(before.Data["username"]))
		}
	}, SpecTimeout(specTimeout))

	It("is replaced when it is edited in the Secret, also to one that looks like ours, and the app goes on", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("edited-secret", shared))
		secret := read(ctx, in(tenant, &corev1.Secret{}, "database"))
		before := secret.DeepCopy()
		change(ctx, secret, func() { secret.Data["password"] = []byte("Zk3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0a") })
		rotated(ctx, tenant, string(before.Data["username"]))
		Expect(ping(ctx, tenant)).To(Succeed())
		former, err := pgx.Connect(ctx, string(before.Data["uri"]))
		Expect(err).NotTo(HaveOccurred())
		Expect(former.Close(ctx)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("stays when another entry of the Secret is edited, which is restored", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("edited-entry", shared))
		secret := read(ctx, in(tenant, &corev1.Secret{}, "database"))
		before := secret.DeepCopy()
		for _, key := range []string{"username", "uri", "PGUSER", "host"} {
			change(ctx, secret, func() { secret.Data[key] = []byte(tenant.Status.Database.Name + "_1") })
			Eventually(ctx, komega.Object(secret), atOnce).Should(HaveField("Data", Equal(before.Data)), key)
		}
		Expect(read(ctx, tenant).Status.Database.RotatedAt.Time).To(BeTemporally("==", tenant.Status.Database.RotatedAt.Time))
	}, SpecTimeout(specTimeout))
})
