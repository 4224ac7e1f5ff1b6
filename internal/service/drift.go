package service

// MaxDrifted is how many tenants a server tells of at a time that have changed.
const MaxDrifted = 1000

// Drift says that what a server has for a tenant has changed.
type Drift struct {
	// UID is the UID of the Tenant.
	UID string
	// Tenant is the name of the Tenant.
	Tenant string
	// Name is the name that stands for the tenant on the server.
	Name string
	// Digest stands for what the server has now.
	Digest string
}
