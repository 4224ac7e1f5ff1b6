package answer

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Holder is an object in a tenant's namespaces that isn't deleted before somebody takes its finalizers off.
type Holder struct {
	// Kind, Namespace and Name say which object it is.
	Kind, Namespace, Name string
	// Finalizers are those that Kubernetes and the operator don't take off by themselves.
	Finalizers []string
}

// Foreign returns the finalizers of an object that Kubernetes and the operator don't take off by themselves.
func Foreign(finalizers []string) []string {
	return slices.DeleteFunc(slices.Clone(finalizers), func(finalizer string) bool {
		domain, _, isPath := strings.Cut(finalizer, "/")
		return !isPath || domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") ||
			domain == v1alpha1.GroupVersion.Group || strings.HasSuffix(domain, "."+v1alpha1.GroupVersion.Group)
	})
}

// Departure is what a deletion of a tenant does, and what holds it up.
type Departure struct {
	Facts
	// Retains says that the database stays when the tenant goes.
	Retains bool
	// Releases says that all namespaces stay, whatever the status says of each.
	Releases bool
	// Holders are objects that aren't deleted by themselves.
	Holders []Holder
}

// Leave returns what holds up the deletion of a tenant, and what becomes of what it has. It reports whether nothing
// holds it up.
func Leave(d Departure) (Answer, bool) {
	root := view.Node{Kind: "Tenant", Name: d.Name}
	root.Add(d.protection()...)
	root.Add(d.namespaces()...)
	root.Add(d.database()...)
	free := !has(root, view.Bad)
	switch {
	case !d.Tenant.DeletionTimestamp.IsZero():
		_, _, root.Message = readiness(d.Tenant.Status.Conditions)
		root.Mark, root.State = view.Busy, fmt.Sprintf("has been leaving for %s", age(d.Now, d.Tenant.DeletionTimestamp.Time))
		if !free {
			root.Mark = view.Bad
		}
	case free:
		root.Mark, root.State, root.Message = view.Good, "can leave", "Nothing that you can see holds up its deletion."
	default:
		root.Mark, root.State, root.Message = view.Bad, "can't leave", "This holds up its deletion:"
	}
	return Answer{Node: root, Unread: d.Unread}, free
}

// protection says what keeps the Tenant itself.
func (d Departure) protection() (nodes []view.Node) {
	if d.Tenant.Spec.DeletionProtection {
		nodes = append(nodes, view.Node{Kind: "spec.deletionProtection", Mark: view.Bad, State: "true", Message: fmt.Sprintf(
			`The API server refuses the deletion. To allow it: kubectl patch tenant %s --type=merge -p '{"spec":{"deletionProtection":false}}'`, d.Name)})
	}
	for _, finalizer := range Foreign(d.Tenant.Finalizers) {
		nodes = append(nodes, view.Node{Kind: "Finalizer", Name: finalizer, Mark: view.Bad, Message: "It isn't Tenantry's; what has set it must take it off the Tenant."})
	}
	return nodes
}

// namespaces says what becomes of each namespace, and what in it isn't deleted by itself.
func (d Departure) namespaces() []view.Node {
	nodes := make([]view.Node, 0, len(d.Namespaces))
	for _, namespace := range d.Namespaces {
		node := view.Node{Kind: "Namespace", Name: namespace.Name, Mark: view.Good}
		switch {
		case namespace.State == v1alpha1.NamespaceConflict:
			continue
		case d.Releases || namespace.ReclaimPolicy == v1alpha1.NamespaceRelease:
			node.State, node.Message = "stays", "with what is in it, without quota, policies and rights"
			nodes = append(nodes, node)
			continue
		case namespace.State == v1alpha1.NamespaceTerminating:
			node.Mark, node.State, node.Message = view.Busy, "is being deleted", namespace.Message
		default:
			node.State, node.Message = "is deleted", "with everything in it"
		}
		for _, holder := range d.Holders {
			if holder.Namespace == namespace.Name {
				node.Add(holder.node())
			}
		}
		if has(node, view.Bad) {
			node.Mark = view.Bad
		}
		nodes = append(nodes, node)
	}
	return nodes
}

func (h Holder) node() view.Node {
	return view.Node{Kind: h.Kind, Namespace: h.Namespace, Name: h.Name, Mark: view.Bad, Message: fmt.Sprintf(
		"has %s; what has set that must take it off", list("the finalizer", "the finalizers", h.Finalizers))}
}

func list(one, several string, items []string) string {
	if len(items) == 1 {
		return one + " " + items[0]
	}
	return several + " " + strings.Join(items, " and ")
}

// database says what becomes of the database, and whether its server answers.
func (d Departure) database() (nodes []view.Node) {
	database := d.Tenant.Status.Database
	if database == nil || database.Server == "" {
		return nil
	}
	node := view.Node{Kind: "Database", Name: database.Name, Mark: view.Good, State: "is dropped", Message: "with its roles, from " + database.Server}
	if d.Retains {
		node.State, node.Message = "stays", "on "+database.Server+", with its logins disabled; spec.database.adopt of another Tenant takes it over"
	}
	nodes = append(nodes, node)
	for _, server := range naming.DatabaseServers(d.Tenant.Finalizers) {
		switch {
		case d.Server != nil && d.Server.Name == server && !meta.IsStatusConditionTrue(d.Server.Status.Conditions, v1alpha1.ConditionReady):
			_, reason, message := readiness(d.Server.Status.Conditions)
			nodes = append(nodes, view.Node{Kind: "DatabaseServer", Name: server, Mark: view.Bad, State: reason, Message: message + " The deletion waits until it answers."})
		case d.Server == nil && len(d.Unread) == 0:
			nodes = append(nodes, view.Node{Kind: "DatabaseServer", Name: server, Mark: view.Bad, State: "doesn't exist", Message: fmt.Sprintf(
				"Create it again; or, if the data is gone or may stay, take the finalizer %s off the Tenant.", naming.DatabaseFinalizer(server))})
		}
	}
	return nodes
}
