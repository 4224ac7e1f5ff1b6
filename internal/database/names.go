package database

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// PlatformOwner is the role, without LOGIN, that owns the databases of all tenants of a server.
const PlatformOwner = "tenantry_owner"

// TablesOwner is the role, without LOGIN, that owns the tables of [IsolationRow].
const TablesOwner = "tenantry_row_owner"

// SharedDatabase returns the name of the database that tenants of the isolation share; empty if they share
// none. The role whose members may connect to it has the same name.
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

// Schema returns the schema in which a tenant of the isolation with this name finds its tables.
func Schema(isolation Isolation, name string) string {
	if isolation == IsolationSchema {
		return name
	}
	return "public"
}

const nameDigestLength = 20

// Name returns the name of the database and of the owner role of the Tenant with this UID: t_ and 20 letters or
// digits. It reveals nothing about the tenant, because every role of a server can list the names of all databases
// and roles.
func Name(uid string) string {
	digest := sha256.Sum256([]byte(uid))
	return "t_" + strings.ToLower(base32.StdEncoding.EncodeToString(digest[:]))[:nameDigestLength]
}

// NameOfLogin returns the name of a login's database. It returns false if the login isn't one that [Logins]
// returns.
func NameOfLogin(login string) (name string, ok bool) {
	name, number, found := strings.Cut(strings.TrimPrefix(login, "t_"), "_")
	return "t_" + name, found && strings.HasPrefix(login, "t_") && len(name) == nameDigestLength && (number == "0" || number == "1")
}

// Logins returns the two roles with which the tenant of the database with this name logs in. They take turns: one
// is active, the other stands by or, until the end of the grace period, is the former one.
func Logins(name string) [2]string {
	return [2]string{name + "_0", name + "_1"}
}
