package examples

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/environment"
)

// The developer's tools compare the models with tables that tenantry.isolate_all has changed.
var _ = Describe("With isolation Row, a developer who", Label("D9"), func() {
	It("takes unique=True off a field of Django finds it gone", func(ctx SpecContext) {
		later := developFrom(ctx, "django")
		later.run(ctx, "manage.py", "migrate")
		Expect(later.uniqueColumns(ctx, "orders_order")).To(Equal([]string{"tenant_id, number"}))

		later.replace("orders/models.py", "max_length=40, unique=True", "max_length=40")
		later.run(ctx, "manage.py", "makemigrations", "--name=later")
		later.replace("orders/migrations/0005_later.py", "        ),\n    ]", "        ),\n        ISOLATE,\n    ]")
		later.replace("orders/migrations/0005_later.py", "\n\nclass", "\nfrom orders.tenants import ISOLATE\n\n\nclass")
		later.run(ctx, "manage.py", "migrate")
		Expect(later.uniqueColumns(ctx, "orders_order")).To(BeEmpty())

		By("and unique once more, when it is put back")
		later.replace("orders/models.py", "max_length=40)", "max_length=40, unique=True)")
		later.run(ctx, "manage.py", "makemigrations", "--name=again")
		later.replace("orders/migrations/0006_again.py", "        ),\n    ]", "        ),\n        ISOLATE,\n    ]")
		later.replace("orders/migrations/0006_again.py", "\n\nclass", "\nfrom orders.tenants import ISOLATE\n\n\nclass")
		later.run(ctx, "manage.py", "migrate")
		Expect(later.uniqueColumns(ctx, "orders_order")).To(Equal([]string{"tenant_id, number"}))
	}, SpecTimeout(specTimeout))

	It("has Alembic compare finds what the models have changed, and nothing else", func(ctx SpecContext) {
		later := developFrom(ctx, "flask")
		later.run(ctx, "-m", "flask", "--app", "shop", "db", "upgrade")
		Expect(later.uniqueColumns(ctx, "orders")).To(Equal([]string{"tenant_id, number"}))
		Expect(later.autogenerate(ctx, "0003")).To(BeEmpty())

		later.replace("shop.py", "nullable=False, unique=True)", "nullable=False)")
		later.replace("shop.py", `    paid = db`, "    note = db.Column(db.String(10), unique=True)\n    paid = db")
		Expect(later.autogenerate(ctx, "0004")).To(ConsistOf(
			HavePrefix("op.add_column('orders', sa.Column('note'"),
			"op.drop_constraint('orders_number_key', 'orders', type_='unique')",
			"op.create_unique_constraint(None, 'orders', ['note'])"))
		Expect(later.uniqueColumns(ctx, "orders")).To(Equal([]string{"tenant_id, note"}))
		Expect(later.autogenerate(ctx, "0005")).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})

// development is a copy of an example that its developer changes further, with the tables that tenants share.
type development struct {
	dir         string
	environment container
	machine     *postgres.Server
}

func developFrom(ctx context.Context, framework string) *development {
	GinkgoHelper()
	name := "later-" + framework
	machine, server := serverFor(ctx, name, mode{isolation: v1alpha1.DatabaseIsolationRow, ownServer: true})
	tenant := shop(framework, "later", server, v1alpha1.DatabaseIsolationRow)
	tenant.Spec.Database.SharedTables = v1alpha1.SharedTablesManage
	Expect(env.Client.Create(ctx, tenant)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, tenant)) })
	Eventually(ctx, komega.Object(tenant)).Should(beReady(tenant.Generation))
	values, err := secret(ctx, tenant.Name, "database")
	Expect(err).NotTo(HaveOccurred())

	made := &development{dir: GinkgoT().TempDir(), machine: machine}
	made.environment.environment = map[string]string{
		"DATABASE_URL": values["DATABASE_URL"], "SQLALCHEMY_DATABASE_URI": values["DATABASE_URL"], "PATH": os.Getenv("PATH"),
	}
	Expect(os.CopyFS(made.dir, os.DirFS(filepath.Join(folder, framework)))).To(Succeed())
	return made
}

// run runs a Python program, and returns its output.
func (d *development) run(ctx context.Context, args ...string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "/usr/bin/python3", args...)
	command.Dir, command.Env = d.dir, d.environment.variables()
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", output)
	return string(output)
}

// autogenerate has Alembic write a revision, and runs it. It returns the revision's operations.
func (d *development) autogenerate(ctx context.Context, revision string) (operations []string) {
	GinkgoHelper()
	d.run(ctx, "-m", "flask", "--app", "shop", "db", "migrate", "--rev-id", revision)
	content, err := os.ReadFile(filepath.Join(d.dir, "migrations", "versions", revision+"_.py"))
	Expect(err).NotTo(HaveOccurred())
	upgrade, _, found := strings.Cut(string(content), "def downgrade")
	Expect(found).To(BeTrue())
	for line := range strings.Lines(upgrade) {
		if operation := strings.TrimSpace(line); strings.HasPrefix(operation, "op.") {
			operations = append(operations, operation)
		}
	}
	d.run(ctx, "-m", "flask", "--app", "shop", "db", "upgrade")
	return operations
}

// replace replaces a text in a file, which must have it.
func (d *development) replace(file, old, replacement string) {
	GinkgoHelper()
	path := filepath.Join(d.dir, file)
	content, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(content)).To(ContainSubstring(old))
	Expect(os.WriteFile(path, []byte(strings.Replace(string(content), old, replacement, 1)), 0o600)).To(Succeed())
}

// uniqueColumns returns the columns of each unique constraint of a table.
func (d *development) uniqueColumns(ctx context.Context, table string) []string {
	GinkgoHelper()
	keys, err := environment.Query[string](ctx, d.machine, "tenantry_row", fmt.Sprintf(`
		SELECT (SELECT string_agg(attname, ', ' ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS key(number, place)
			JOIN pg_attribute ON attrelid = conrelid AND attnum = number)
		FROM pg_constraint WHERE conrelid = '%s'::regclass AND contype = 'u'`, table))
	Expect(err).NotTo(HaveOccurred())
	return keys
}
