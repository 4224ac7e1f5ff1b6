package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Namespaces is the list of a tenant's namespaces, which RBAC can't filter.
type Namespaces struct {
	// Tenant is the name of the Tenant.
	Tenant string `json:"tenant"`
	// Namespaces are its namespaces, the primary one first.
	Namespaces []v1alpha1.TenantNamespace `json:"namespaces"`
	// More says how many more there are, which aren't listed; empty for none.
	More string `json:"more,omitempty"`
}

// NamespacesFrom reads the list that the operator keeps for a tenant's owners.
func NamespacesFrom(tenant string, listed map[string]string) Namespaces {
	result := Namespaces{Tenant: tenant, More: listed[naming.MoreNamespaces]}
	for name, said := range listed {
		if name == naming.MoreNamespaces {
			continue
		}
		state, message, _ := strings.Cut(said, ": ")
		result.Namespaces = append(result.Namespaces, v1alpha1.TenantNamespace{
			Name: name, Primary: name == tenant, State: v1alpha1.NamespaceState(state), Message: message,
		})
	}
	slices.SortFunc(result.Namespaces, func(a, b v1alpha1.TenantNamespace) int {
		if a.Primary != b.Primary {
			return cmp.Compare(fmt.Sprint(b.Primary), fmt.Sprint(a.Primary))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return result
}

// Table returns the list as a table.
func (n Namespaces) Table() view.Table {
	table := view.Table{Header: []string{"NAME", "STATE", "MESSAGE"}}
	for _, namespace := range n.Namespaces {
		table.Rows = append(table.Rows, []view.Cell{
			view.Text(namespace.Name), {Text: string(namespace.State), Mark: markOfNamespace(namespace.State)}, view.Text(namespace.Message),
		})
	}
	return table
}
