package postgres_test

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/postgres"
)

const specTimeout = 3 * time.Minute

func TestPostgres(t *testing.T) {
	RegisterFailHandler(Fail)
	Expect(freeport.Shift(GinkgoParallelProcess() - 1)).To(Succeed())
	RunSpecs(t, "PostgreSQL launcher")
}

var _ = Describe("A PostgreSQL server", func() {
	var dir string

	BeforeEach(func() {
		dir = filepath.Join(GinkgoT().TempDir(), "postgres")
	})

	start := func(ctx SpecContext) *postgres.Server {
		GinkgoHelper()
		server, err := postgres.Start(ctx, postgres.Options{Dir: dir, EndWithStarter: true, Progress: GinkgoWriter})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(server.Remove)
		return server
	}

	query := func(ctx SpecContext, server *postgres.Server, sql string) (result string) {
		GinkgoHelper()
		conn, err := pgx.Connect(ctx, server.URL("postgres"))
		Expect(err).NotTo(HaveOccurred())
		defer conn.Close(ctx)
		Expect(conn.QueryRow(ctx, sql).Scan(&result)).To(Succeed())
		return result
	}

	It("takes superuser sessions by password only, and many of them", func(ctx SpecContext) {
		server := start(ctx)
		Expect(query(ctx, server, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user")).To(Equal("true"))
		Expect(strconv.Atoi(query(ctx, server, "SHOW max_connections"))).To(BeNumerically(">=", 300))
		Expect(query(ctx, server, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules")).To(Equal("scram-sha-256"))

		server.Password = "wrong"
		_, err := pgx.Connect(ctx, server.URL("postgres"))
		Expect(err).To(MatchError(ContainSubstring("28P01")))
	}, SpecTimeout(specTimeout))

	It("comes back on the same port with its data after it crashed or was stopped", func(ctx SpecContext) {
		server := start(ctx)
		conn, err := pgx.Connect(ctx, server.URL("postgres"))
		Expect(err).NotTo(HaveOccurred())
		_, err = conn.Exec(ctx, "CREATE TABLE kept AS SELECT 'here' AS word")
		Expect(err).NotTo(HaveOccurred())
		port := server.Port

		Expect(server.Kill()).To(Succeed())
		Expect(server.Running()).To(BeFalse())
		_, err = pgx.Connect(ctx, server.URL("postgres"))
		Expect(err).To(MatchError(ContainSubstring("connection refused")))

		Expect(server.Restart(ctx)).To(Succeed())
		Expect(query(ctx, server, "SELECT word FROM kept")).To(Equal("here"))

		Expect(server.Stop()).To(Succeed())
		again, err := postgres.Start(ctx, postgres.Options{Dir: dir, EndWithStarter: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(again.Stop)
		Expect(again.Port).To(Equal(port))
		Expect(query(ctx, again, "SELECT word FROM kept")).To(Equal("here"))
	}, SpecTimeout(specTimeout))

	It("is found by its folder and removed without a trace", func(ctx SpecContext) {
		server := start(ctx)
		found, err := postgres.Load(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Running()).To(BeTrue())
		Expect(found.URL("postgres")).To(Equal(server.URL("postgres")))

		Expect(found.Remove()).To(Succeed())
		Expect(dir).NotTo(BeADirectory())
		Expect(server.DataDir).NotTo(BeADirectory())
		Eventually(server.Running).WithContext(ctx).Should(BeFalse())
		_, err = postgres.Load(dir)
		Expect(err).To(MatchError(fs.ErrNotExist))
	}, SpecTimeout(specTimeout))

	It("says why it does not come up", func(ctx SpecContext) {
		server := start(ctx)
		Expect(server.Stop()).To(Succeed())
		listener, err := net.Listen("tcp", net.JoinHostPort(server.Host, strconv.Itoa(server.Port)))
		Expect(err).NotTo(HaveOccurred())
		defer listener.Close()

		err = server.Restart(ctx)
		Expect(err).To(MatchError(And(
			ContainSubstring("postgres ended before it was ready"),
			ContainSubstring(server.LogPath()),
			ContainSubstring("Address already in use"))))
		Expect(server.Running()).To(BeFalse())
	}, SpecTimeout(specTimeout))

	It("keeps its data elsewhere when its user can't enter the folder", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("only for root does the server run as another user")
		}
		closed := GinkgoT().TempDir()
		Expect(os.Chmod(closed, 0o700)).To(Succeed())
		dir = filepath.Join(closed, "postgres")
		server := start(ctx)
		Expect(server.DataDir).NotTo(HavePrefix(closed))
		Expect(server.LogPath()).To(HavePrefix(closed))
		Expect(server.Remove()).To(Succeed())
		Expect(server.DataDir).NotTo(BeADirectory())
	}, SpecTimeout(specTimeout))

	It("runs a release from npm although its user can't enter the folder", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("only for root does the server run as another user")
		}
		closed := GinkgoT().TempDir()
		Expect(os.Chmod(closed, 0o700)).To(Succeed())
		binDir, err := postgres.Fetch(ctx, filepath.Join(closed, "releases"), postgres.AnyMajor, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		released, err := postgres.Start(ctx, postgres.Options{Dir: GinkgoT().TempDir(), BinDir: binDir, EndWithStarter: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(released.Remove()).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("counts statements where the extension is installed", func(ctx SpecContext) {
		server := start(ctx)
		conn, err := pgx.Connect(ctx, server.URL("postgres"))
		Expect(err).NotTo(HaveOccurred())
		defer conn.Close(ctx)
		if query(ctx, server, "SELECT count(*)::text FROM pg_available_extensions WHERE name = 'pg_stat_statements'") == "0" {
			Skip("pg_stat_statements is not installed")
		}
		_, err = conn.Exec(ctx, "CREATE EXTENSION pg_stat_statements")
		Expect(err).NotTo(HaveOccurred())
		Expect(query(ctx, server, "SELECT count(*)::text FROM pg_stat_statements WHERE query ~ 'CREATE EXTENSION'")).To(Equal("1"))
	}, SpecTimeout(specTimeout))
})
