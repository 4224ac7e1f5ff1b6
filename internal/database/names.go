package database

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// PlatformOwner is the role, without login, that owns the databases of all tenants of a server.
const PlatformOwner = "tenantry_owner"

// TablesOwner is the role, without login, that owns the tables of [IsolationRow].
const TablesOwner = "tenantry_row_owner"

// SharedDatabase returns the name of the database that tenants of the isolation share, which is
// also that of the role whose members may connect to it; empty if they share none.
func SharedDatabase(isolation Isolation) string {
	switch isolation {
	case IsolationSchema:
		return "tenantry_schema"
	case IsolationRow:
		return "tenantry_row"
	case IsolationDedicated, IsolationDatabase:
	}
	return ""
}

// ConnectTo returns the database that a tenant of the isolation with this name connects to.
func ConnectTo(isolation Isolation, name string) string {
	return cmp.Or(SharedDatabase(isolation), name)
}

const nameDigestLength = 20

// Name returns the name of the database and of the owner role of the Tenant with this UID: t_ and
// 20 letters or digits. It tells nothing about the tenant, because every role of a server can
// list the names of all databases and roles.
func Name(uid string) string {
	digest := sha256.Sum256([]byte(uid))
	return "t_" + strings.ToLower(base32.StdEncoding.EncodeToString(digest[:]))[:nameDigestLength]
}

// Logins returns the two roles by which a tenant whose database has this name logs in. They take
// turns: one is active, the other stands by, or is the former one that still takes sessions.
func Logins(name string) [2]string {
	return [2]string{name + "_0", name + "_1"}
}
