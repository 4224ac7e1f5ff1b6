package service

// MaxDrifted is the maximum number of changed tenants that a server reports at a time.
const MaxDrifted = 1000

// Drift means that others have changed what a server has for a tenant.
type Drift struct {
	// UID is the UID of the Tenant.
	UID string
	// Tenant is the name of the Tenant.
	Tenant string
	// Name is the tenant's name on the server.
	Name string
	// Digest is a digest of what the server has now.
	Digest string
}
