package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/plugin/view"
)

// reachTimeout is how long a database server may take to accept a connection.
const reachTimeout = 5 * time.Second

// libpqVariables are the keys of a tenant's Secret that libpq reads from its environment.
var libpqVariables = []string{"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLMODE"}

func (p *plugin) psql() *cobra.Command {
	address := ""
	command := &cobra.Command{
		Use: "psql TENANT [-- ARGUMENT...]", Short: "Open a tenant's database with psql",
		Long: `Run psql with the login in the tenant's Secret. The password is in psql's environment only: it is neither shown nor
among the arguments. Whatever follows -- is for psql.

psql connects from this machine. If that doesn't reach the database server, for example because it is inside the
cluster, forward a port to it and name that with --address; the server's certificate is verified all the same.`,
		Example: `  kubectl tenantry psql acme
  kubectl tenantry psql acme -- -c 'SELECT count(*) FROM orders'
  kubectl port-forward --namespace databases service/postgres 15432:5432 &
  kubectl tenantry psql acme --address 127.0.0.1:15432`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: p.completeTenants,
		RunE: func(cmd *cobra.Command, args []string) error {
			program, err := exec.LookPath("psql")
			if err != nil {
				return errors.New("there is no psql on this machine; install PostgreSQL's client, which is the package postgresql-client on Debian")
			}
			connection, err := p.connect()
			if err != nil {
				return err
			}
			secret, err := connection.Login(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			environment, remove, err := psqlEnvironment(cmd.Context(), secret, address)
			if err != nil {
				return err
			}
			defer remove()
			return p.runPsql(cmd.Context(), program, args[1:], environment)
		},
	}
	command.Flags().StringVar(&address, "address", "", "Where the database server can be reached from here, such as 127.0.0.1:15432. Left out, it is where the tenant's pods reach it.")
	return command
}

// psqlEnvironment returns the environment for psql, and what removes the file that it names.
func psqlEnvironment(ctx context.Context, secret *corev1.Secret, address string) (environment []string, remove func(), err error) {
	environment = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PG") // A service or a password file of the user's would come before the login.
	})
	for _, key := range libpqVariables {
		environment = append(environment, key+"="+string(secret.Data[key]))
	}
	host, port := string(secret.Data["PGHOST"]), string(secret.Data["PGPORT"])
	if address != "" {
		if host, port, err = net.SplitHostPort(address); err != nil {
			return nil, nil, fmt.Errorf("--address must be a host and a port, such as 127.0.0.1:15432: %w", err)
		}
	}
	probe, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, nil, fmt.Errorf("the database server can't be reached from here: %w. If it is inside the cluster, forward a port to it (kubectl port-forward) and name that with --address 127.0.0.1:PORT", err)
	}
	if reached, isTCP := probe.RemoteAddr().(*net.TCPAddr); isTCP && address != "" {
		// PGHOST stays the name that the certificate is for.
		environment = append(environment, "PGHOSTADDR="+reached.IP.String(), "PGPORT="+port)
	}
	if err := probe.Close(); err != nil {
		return nil, nil, err
	}
	authorities := secret.Data["ca.crt"]
	if len(authorities) == 0 {
		return environment, func() {}, nil
	}
	folder, err := os.MkdirTemp("", "kubectl-tenantry-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) }
	file := filepath.Join(folder, "ca.crt")
	if err := os.WriteFile(file, authorities, 0o600); err != nil {
		remove()
		return nil, nil, err
	}
	return append(environment, "PGSSLROOTCERT="+file), remove, nil
}

// runPsql runs psql in the terminal. An interrupt is for psql, which cancels the statement.
func (p *plugin) runPsql(ctx context.Context, program string, args, environment []string) error {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	command := exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // To run psql with the user's arguments is the purpose.
	command.Env = environment
	command.Stdin, command.Stdout, command.Stderr = p.streams.In, p.streams.Out, p.streams.ErrOut
	err := command.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return &ExitError{Code: ended.ExitCode()} // psql has said why.
	}
	return err
}

func (p *plugin) rotate() *cobra.Command {
	timeout := time.Minute
	command := &cobra.Command{
		Use: "rotate TENANT", Short: "Give a tenant's database a new password",
		Long: `Ask for a new password of the tenant's database, and wait until the tenant has it. The former login goes on working for
the grace period, so that apps can switch.`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeTenants,
		RunE: func(cmd *cobra.Command, args []string) error {
			connection, err := p.connect()
			if err != nil {
				return err
			}
			tenant, err := connection.Rotate(cmd.Context(), args[0], timeout)
			if err != nil {
				return err
			}
			database := tenant.Status.Database
			said := fmt.Sprintf("The Secret %s in the namespace %s has the login %s with a new password.", database.SecretName, tenant.Name, database.Login)
			if until := database.FormerLoginUntil; until != nil {
				said += fmt.Sprintf(" The former login accepts new sessions until %s.", until.UTC().Format(time.RFC3339))
			}
			_, err = fmt.Fprintln(p.streams.Out, view.Clean(said))
			return err
		},
	}
	command.Flags().DurationVar(&timeout, "timeout", timeout, "How long to wait for the new password.")
	return command
}
