package plugin

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// manifest writes a file that kubectl can apply.
func manifest(content string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "manifest.yaml")
	Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
	return path
}

var _ = Describe("kubectl tenantry psql", func() {
	It("opens the tenant's database without showing the password", func(ctx SpecContext) {
		tenant := ready(ctx, owned("queried").Database(shared))
		password := string(secretOf(ctx, "queried").Data["password"])
		for _, who := range []user{admin(), named("editor@queried")} {
			Expect(who.run(ctx, "psql", "queried", "--", "-At", "-c", "SELECT session_user, current_database()")).To(says(
				Equal(tenant.Status.Database.Login + "|" + tenant.Status.Database.Name + "\n")))
		}
		// psql's parent is the plugin.
		shown := admin().run(ctx, "psql", "queried", "--", "-At", "-c",
			`\! tr '\0' ' ' < /proc/$PPID/cmdline; tr '\0' ' ' < /proc/$(awk '/^PPid/ {print $2}' /proc/$PPID/status)/cmdline`)
		Expect(shown).To(HaveField("Code", 0))
		Expect(shown.Out).To(And(ContainSubstring("psql -At -c"), ContainSubstring("kubectl-tenantry psql queried"), Not(ContainSubstring(password))))
		Expect(shown.Err).NotTo(ContainSubstring(password))

		By("by another way to the server, and not by the user's own settings of libpq")
		other := admin()
		other.variables = []string{"PGSERVICE=elsewhere", "PGUSER=somebody", "PGHOST=elsewhere.invalid"}
		address := string(secretOf(ctx, "queried").Data["PGHOST"]) + ":" + string(secretOf(ctx, "queried").Data["PGPORT"])
		Expect(other.run(ctx, "psql", "queried", "--address", address, "--", "-At", "-c", "SELECT 1")).To(says(Equal("1\n")))
		Expect(admin().run(ctx, "psql", "queried", "--address", "127.0.0.1:1", "--", "-c", "SELECT 1")).To(complains("The database server can't be reached from here", "--address 127.0.0.1:PORT"))

		By("with psql's own exit code")
		Expect(admin().run(ctx, "psql", "queried", "--", "-c", "SELECT no_such_column")).To(And(HaveField("Code", 1), HaveField("Err", ContainSubstring(`column "no_such_column" does not exist`))))

		By("for who may read the Secret")
		Expect(named("viewer@queried").run(ctx, "psql", "queried")).To(complains("viewer@queried has no right to list secrets in the namespace queried. In a tenant's namespaces, owners with the role Editor have it"))
		ready(ctx, owned("plain"))
		Expect(admin().run(ctx, "psql", "plain")).To(complains("The Tenant plain has no database"))
		Expect(named("editor@plain").run(ctx, "psql", "plain")).To(complains("The Tenant plain has no database"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry rotate", func() {
	It("waits until the tenant has a new password", func(ctx SpecContext) {
		tenant := ready(ctx, owned("rotated").Database(shared))
		before := secretOf(ctx, "rotated")
		Expect(admin().run(ctx, "rotate", "rotated")).To(says(MatchRegexp(
			`^The Secret database in the namespace rotated has the login t_\w+ with a new password\. The former login accepts new sessions until 20\S+Z\.\n$`)))
		after := secretOf(ctx, "rotated")
		Expect(after.Data["username"]).NotTo(Equal(before.Data["username"]))
		Expect(after.Data["password"]).NotTo(Equal(before.Data["password"]))
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Database.Login", string(after.Data["username"])))
		Expect(admin().run(ctx, "psql", "rotated", "--", "-At", "-c", "SELECT session_user")).To(says(Equal(string(after.Data["username"]) + "\n")))
	}, SpecTimeout(specTimeout))

	It("is for who may change Tenants", func(ctx SpecContext) {
		ready(ctx, owned("fixed").Database(shared))
		bound(ctx, "admin@fixed", "tenantry-tenant-viewer")
		for _, command := range []string{"rotate", "cordon", "uncordon"} {
			Eventually(ctx, func(ctx context.Context) said { return named("admin@fixed").run(ctx, command, "fixed") }).Should(complains(
				"admin@fixed has no right to patch tenants.tenantry.dev fixed. A cluster admin can grant it, with all other changes of all of them: kubectl create clusterrolebinding tenantry-tenant-editor:admin@fixed --clusterrole=tenantry-tenant-editor --user=admin@fixed"))
		}
		ready(ctx, owned("without"))
		Expect(admin().run(ctx, "rotate", "without")).To(complains("The Tenant without has no database with a login to rotate"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry cordon", func() {
	It("freezes a tenant until it is uncordoned", func(ctx SpecContext) {
		tenant := ready(ctx, owned("frozen"))
		try := func(ctx context.Context) said {
			return named("editor@frozen").exec(ctx, env.Kubernetes.KubectlPath(), "create", "configmap", "new", "--namespace", "frozen", "--dry-run=server", "--as", "editor@frozen")
		}
		Expect(try(ctx)).To(HaveField("Code", 0))
		Expect(admin().run(ctx, "cordon", "frozen")).To(says("The Tenant frozen is cordoned: only cluster admins and the cluster itself may change anything"))
		Eventually(ctx, try).Should(HaveField("Err", ContainSubstring("cordoned")))
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "status", "frozen") }).Should(says("! Cordoned  Only cluster admins may change anything in its namespaces."))
		Expect(admin().run(ctx, "uncordon", "frozen")).To(says("The Tenant frozen isn't cordoned any more."))
		Eventually(ctx, try).Should(HaveField("Code", 0))
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), tenant)).To(Succeed())
		Expect(tenant.Spec.Cordoned).To(BeFalse())
	}, SpecTimeout(specTimeout))
})

// unpack returns the files of an archive.
func unpack(path string) map[string]string {
	GinkgoHelper()
	file, err := os.Open(path)
	Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	packed, err := gzip.NewReader(file)
	Expect(err).NotTo(HaveOccurred())
	files, archive := map[string]string{}, tar.NewReader(packed)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		Expect(err).NotTo(HaveOccurred())
		content, err := io.ReadAll(archive)
		Expect(err).NotTo(HaveOccurred())
		files[strings.TrimPrefix(header.Name, "tenantry-report/")] = string(content)
	}
}

var _ = Describe("kubectl tenantry report", func() {
	const token, setting, argument, variable = "tok-7f3a9c2e51", "set-91b2d4e6f8", "arg-2c4e6a8b0d", "var-5d7f9a1c3e"

	// leaky applies a tenant of which secrets stand where they shouldn't.
	leaky := func(ctx context.Context, name string) {
		GinkgoHelper()
		tenant := owned(name).Database(shared).App(image).Config("SETTING", setting).Env("VARIABLE", variable).Command("serve", "--token="+argument).Build()
		tenant.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: setting}
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, tenant) })
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Conditions", ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue)))))
		Expect(env.Client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "api"}, Data: map[string][]byte{"token": []byte(token)},
		})).To(Succeed())
		Expect(env.Client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "copied", Annotations: map[string]string{"note": "the token is " + token}}, Data: map[string]string{"copy": token},
		})).To(Succeed())
		password := string(secretOf(ctx, name).Data["password"])
		Expect(env.Client.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, GenerateName: "leak-"}, Reason: "Leaked", Type: corev1.EventTypeWarning,
			InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: name, Name: "app"},
			Message:        "can't log in with " + password + " (" + base64.StdEncoding.EncodeToString([]byte(password)) + ")", LastTimestamp: metav1.Now(),
		})).To(Succeed())
	}

	// expectNoSecrets looks for all values of Secrets in the tenant's namespace and the operator's.
	expectNoSecrets := func(ctx context.Context, tenant string, files map[string]string) {
		GinkgoHelper()
		values := []string{token, setting, argument, variable, env.Postgres.Password}
		for key, value := range secretOf(ctx, tenant).Data {
			if strings.Contains("password PGPASSWORD uri jdbc-uri DATABASE_URL pgpass", key) { //nolint:gocritic // The list has the key.
				values = append(values, strings.TrimSpace(string(value)))
			}
		}
		Expect(values).To(HaveLen(11))
		for name, content := range files {
			for _, value := range values {
				Expect(content).NotTo(ContainSubstring(value), name)
				Expect(content).NotTo(ContainSubstring(base64.StdEncoding.EncodeToString([]byte(value))), name)
			}
		}
	}

	It("has what explains a tenant's state, and no secret", func(ctx SpecContext) {
		leaky(ctx, "leaky")
		path := filepath.Join(GinkgoT().TempDir(), "report.tar.gz")
		Expect(admin().run(ctx, "report", "leaky", "--file", path)).To(says("Written to " + path + ", without secrets."))
		Expect(os.Stat(path)).To(HaveField("Mode()", os.FileMode(0o600)))
		files := unpack(path)
		expectNoSecrets(ctx, "leaky", files)
		Expect(files["README.txt"]).To(And(HavePrefix("A report of Tenantry"), Not(ContainSubstring("Left out"))))
		Expect(files["cluster/tenant.yaml"]).To(And(ContainSubstring("name: leaky"), ContainSubstring("SETTING: <removed>")))
		Expect(files["cluster/databaseserver.yaml"]).To(ContainSubstring("name: shared"))
		Expect(files["namespaces/leaky/deployment.yaml"]).To(ContainSubstring("readyReplicas: 1"))
		Expect(files["namespaces/leaky/secret.yaml"]).To(And(ContainSubstring("name: database"), ContainSubstring("password: <removed>")))
		Expect(files["namespaces/leaky/event.yaml"]).To(ContainSubstring("can't log in with <removed> (<removed>)"))
		Expect(files["status.txt"]).To(ContainSubstring("✓ Tenant leaky Ready"))
		Expect(admin().run(ctx, "report", "leaky", "--file", path)).To(complains("exists"))

		By("of the cluster, without what is in tenants' namespaces")
		path = filepath.Join(GinkgoT().TempDir(), "fleet.tar.gz")
		Expect(admin().run(ctx, "report", "--file", path)).To(says("Written to " + path))
		files = unpack(path)
		expectNoSecrets(ctx, "leaky", files)
		Expect(files).To(And(HaveKey("cluster/tenant.yaml"), Not(HaveKey(HavePrefix("namespaces/leaky")))))
	}, SpecTimeout(specTimeout))

	It("has what an owner may see, and says what is left out", func(ctx SpecContext) {
		leaky(ctx, "reported")
		for _, owner := range []string{"admin", "viewer"} {
			path := filepath.Join(GinkgoT().TempDir(), owner+".tar.gz")
			Expect(named(owner+"@reported").run(ctx, "report", "--namespace", "reported", "--file", path)).To(says("Written to " + path))
			files := unpack(path)
			Expect(files["README.txt"]).To(And(ContainSubstring("Left out:"), ContainSubstring(owner+"@reported has no right to list tenants.tenantry.dev in the whole cluster.")))
			Expect(files["namespaces/reported/deployment.yaml"]).To(ContainSubstring("readyReplicas: 1"))
			if owner == "admin" {
				expectNoSecrets(ctx, "reported", files)
				continue
			}
			// Who may not read Secrets can't have their values removed from where others have written them.
			Expect(files["README.txt"]).To(ContainSubstring("viewer@reported has no right to list secrets in the namespace reported."))
			Expect(files["namespaces/reported/configmap.yaml"]).To(ContainSubstring("copy: <removed>"))
			Expect(files["namespaces/reported/deployment.yaml"]).To(And(Not(ContainSubstring(variable)), Not(ContainSubstring(argument))))
		}
	}, SpecTimeout(specTimeout))
})
