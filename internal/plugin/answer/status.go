package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Status returns the tree of a tenant: its parts, their objects, the pods, and the database.
func Status(f Facts) Answer {
	root := view.Node{Kind: "Tenant", Name: f.Name, Mark: view.Note, Message: notReadable}
	if f.Tenant != nil {
		mark, reason, message := readiness(f.Tenant.Status.Conditions)
		root.Mark, root.State, root.Message = mark, reason, message
		root.Children = notes(f.Tenant)
	}
	pods := podsByOwner(f)
	for _, part := range parts.All {
		if node, found := partNode(f, part, pods); found {
			root.Add(node)
		}
	}
	return Answer{Node: root, Unread: f.Unread}
}

// notReadable is what a tree says of a Tenant that the user may not read.
const notReadable = "This is what you can see in its namespaces. You may not read the Tenant itself."

// notes returns what isn't a part of the tenant's state and what people should know.
func notes(tenant *v1alpha1.Tenant) (nodes []view.Node) {
	if class := tenant.Status.Class; class != nil {
		nodes = append(nodes, view.Node{Kind: "TenantClass", Name: class.Name, Message: pinned(tenant, class)})
	}
	if tenant.Spec.Cordoned {
		nodes = append(nodes, view.Node{Mark: view.Note, Kind: "Cordoned", Message: "Only cluster admins may change anything in its namespaces."})
	}
	for i := range tenant.Status.Conditions {
		c := &tenant.Status.Conditions[i]
		if isSummary(c.Type) || isPart(c.Type) || c.Status != metav1.ConditionTrue {
			continue
		}
		nodes = append(nodes, view.Node{Mark: view.Note, Kind: c.Type, State: c.Reason, Message: c.Message})
	}
	return nodes
}

func pinned(tenant *v1alpha1.Tenant, class *v1alpha1.TenantStatusClass) string {
	switch {
	case tenant.Spec.ClassRevision != "":
		return "pinned to revision " + tenant.Spec.ClassRevision
	case class.Revision != "":
		return "revision " + class.Revision
	default:
		return ""
	}
}

func isSummary(condition string) bool {
	return slices.Contains([]string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}, condition)
}

func isPart(condition string) bool {
	return slices.ContainsFunc(parts.All, func(p *parts.Part) bool { return p.Condition == condition })
}

// podsByOwner returns the pods of a tenant by the object that they belong to, and by "" and the namespace those that
// belong to none of the operator's.
func podsByOwner(f Facts) map[string][]*corev1.Pod {
	objects := map[string]bool{}
	for i := range f.Objects {
		objects[key(f.Objects[i].GetKind(), f.Objects[i].GetNamespace(), f.Objects[i].GetName())] = true
	}
	found := map[string][]*corev1.Pod{}
	for i := range f.Pods {
		owner := cmp.Or(ownerOf(&f.Pods[i], objects), key("", f.Pods[i].Namespace, ""))
		found[owner] = append(found[owner], &f.Pods[i])
	}
	return found
}

// partNode returns the node of a part; false if the tenant doesn't have it.
func partNode(f Facts, part *parts.Part, pods map[string][]*corev1.Pod) (view.Node, bool) {
	node := view.Node{Kind: part.Condition}
	var condition *metav1.Condition
	if f.Tenant != nil {
		if condition = meta.FindStatusCondition(f.Tenant.Status.Conditions, part.Condition); condition != nil {
			node.Mark, node.Message = markOf(condition), condition.Message
			if condition.Status != metav1.ConditionTrue {
				node.State = condition.Reason
			}
		}
	}
	if part == parts.Namespace {
		node.Add(namespaceNodes(f, pods)...)
	}
	for i := range f.Objects {
		object := &f.Objects[i]
		if partOf(object) != part {
			continue
		}
		child := objectNode(object)
		child.Add(podNodes(pods[key(object.GetKind(), object.GetNamespace(), object.GetName())])...)
		node.Add(child)
	}
	if part == parts.Database {
		node.Children = append(databaseNodes(f), node.Children...)
	}
	return node, condition != nil || len(node.Children) > 0
}

// namespaceNodes returns the nodes of the tenant's namespaces, with the pods there that no object of the operator has
// created.
func namespaceNodes(f Facts, pods map[string][]*corev1.Pod) []view.Node {
	nodes := make([]view.Node, 0, len(f.Namespaces))
	for _, namespace := range f.Namespaces {
		node := view.Node{Kind: "Namespace", Name: namespace.Name, Mark: markOfNamespace(namespace.State), State: string(namespace.State), Message: namespace.Message}
		node.Add(podNodes(pods[key("", namespace.Name, "")])...)
		nodes = append(nodes, node)
	}
	return nodes
}

func markOfNamespace(state v1alpha1.NamespaceState) view.Mark {
	switch state {
	case v1alpha1.NamespaceUsable:
		return view.Good
	case v1alpha1.NamespaceTerminating:
		return view.Busy
	default:
		return view.Bad
	}
}

// databaseNodes returns the nodes of the tenant's database and its server.
func databaseNodes(f Facts) (nodes []view.Node) {
	if f.Server != nil {
		mark, reason, message := readiness(f.Server.Status.Conditions)
		nodes = append(nodes, view.Node{Kind: "DatabaseServer", Name: f.Server.Name, Mark: mark, State: reason, Message: message})
	}
	if f.Tenant == nil || f.Tenant.Status.Database == nil || f.Tenant.Status.Database.Name == "" {
		return nodes
	}
	database := f.Tenant.Status.Database
	said := []string{"isolation " + string(database.Isolation)}
	if database.ConnectionLimit > 0 {
		said = append(said, fmt.Sprintf("up to %d connections", database.ConnectionLimit))
	}
	if database.Login != "" {
		login := "login " + database.Login
		if database.RotatedAt != nil {
			login += fmt.Sprintf(", whose password is %s old", age(f.Now, database.RotatedAt.Time))
		}
		said = append(said, login)
	}
	return append(nodes, view.Node{Kind: "Database", Name: database.Name, Message: strings.Join(said, ", ")})
}

// age returns how long ago something was, as kubectl says it.
func age(now, then time.Time) string { return duration.HumanDuration(max(0, now.Sub(then))) }

// Overview returns a table of Tenants.
func Overview(tenants []v1alpha1.Tenant, now time.Time) view.Table {
	table := view.Table{Header: []string{"NAME", "READY", "CLASS", "NAMESPACES", "DATABASE", "APP", "AGE", "STATUS"}}
	for i := range tenants {
		tenant := &tenants[i]
		mark, reason, message := readiness(tenant.Status.Conditions)
		class := ""
		if tenant.Status.Class != nil {
			class = tenant.Status.Class.Name
		}
		namespaces := ""
		if usable := tenant.Status.UsableNamespaces; usable != nil {
			namespaces = fmt.Sprint(*usable)
		}
		table.Rows = append(table.Rows, []view.Cell{
			view.Text(tenant.Name), {Text: reason, Mark: mark}, view.Text(class), view.Text(namespaces),
			partCell(tenant, v1alpha1.ConditionDatabaseReady), partCell(tenant, v1alpha1.ConditionAppReady),
			view.Text(age(now, tenant.CreationTimestamp.Time)), view.Text(message),
		})
	}
	return table
}

func partCell(tenant *v1alpha1.Tenant, condition string) view.Cell {
	found := meta.FindStatusCondition(tenant.Status.Conditions, condition)
	if found == nil {
		return view.Text("")
	}
	return view.Cell{Text: found.Reason, Mark: markOf(found)}
}
