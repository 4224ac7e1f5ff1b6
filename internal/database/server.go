package database

import (
	"cmp"
	"net"
	"strconv"
	"time"

	"github.com/tenantry/tenantry/internal/service"
)

// Server has what is needed to connect to a PostgreSQL server as its administrator, who must be a superuser.
type Server struct {
	// Name is the name of the DatabaseServer.
	Name string
	// Host is a DNS name or an IP address.
	Host string
	// Port is the TCP port.
	Port int32
	// SSLMode is disable, require, verify-ca or verify-full, as in libpq.
	SSLMode string
	// CACert has the certificate authorities, as PEM, that are trusted to sign the server's certificate, for
	// verify-ca and verify-full. Empty means those that the operator's machine trusts.
	CACert string
	// Username is the administrator's role.
	Username string
	// Password is the administrator's password.
	Password service.Sensitive
	// Cluster identifies the operator's Kubernetes cluster, since tenants of others may be on the same server. The
	// operator doesn't touch what another cluster has registered. Empty means that the cluster is unknown.
	Cluster string
	// MaintenanceDatabase is the database that the registry is in; empty means postgres.
	MaintenanceDatabase string
}

// Address returns the server's host and port in the form host:port.
func (s Server) Address() string {
	return net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
}

// Maintenance returns the database that the registry is in.
func (s Server) Maintenance() string {
	return cmp.Or(s.MaintenanceDatabase, "postgres")
}

// ServerStatus is what a server reports.
type ServerStatus struct {
	// Version is the version of PostgreSQL, for example 15.18.
	Version string
	// Certificate is the certificate that the server presents, as DER; nil without TLS.
	Certificate []byte
	// Tenants is the number of tenants that have their database on the server. Retained databases
	// don't count.
	Tenants int
	// RetainedTotal is the number of retained databases.
	RetainedTotal int
	// Retained are the newest 100 of them, newest first.
	Retained []RetainedDatabase
	// Drifted are up to [service.MaxDrifted] tenants whose roles, memberships, settings, database or rights on it
	// have changed since they were last accepted, or that were never accepted.
	Drifted []service.Drift
	// Superusers are the superusers, other than the administrator, that the server didn't have when it was
	// prepared.
	Superusers []string
	// Intruders are the tenants with sessions that held up others by a lock on a database, and were ended.
	Intruders []string
	// DiskFull is what the server has said when it was to write something to its disk, which is full; empty if it
	// could.
	DiskFull string
}

// RetainedDatabase is a database that was kept when its tenant was deleted.
type RetainedDatabase struct {
	// Name is the name of the database, for [Desired.Adopt].
	Name string
	// Tenant is the name that its Tenant had.
	Tenant string
	// Since is when the tenant was deleted.
	Since time.Time
}
