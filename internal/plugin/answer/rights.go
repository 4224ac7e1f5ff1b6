package answer

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Right is a right that somebody lacks.
type Right struct {
	// User is who lacks it.
	User string
	// Verb, Group and Resource say what it is a right to.
	Verb, Group, Resource string
	// Namespace is where; empty for the whole cluster.
	Namespace string
	// Name is the name of the object; empty for all.
	Name string
}

// refusal is what the API server says of who lacks a right.
var refusal = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]+)" in API group "([^"]*)" (?:in the namespace "([^"]+)"|at the cluster scope)`)

// MissingRight reads the API server's refusal of a request for an object of that name. It is false for a request that
// was refused for another reason, such as an admission policy.
func MissingRight(message, name string) (Right, bool) {
	found := refusal.FindStringSubmatch(message)
	if found == nil {
		return Right{}, false
	}
	return Right{User: found[1], Verb: found[2], Resource: found[3], Group: found[4], Namespace: found[5], Name: name}, true
}

// String says what is missing, in a sentence.
func (r Right) String() string {
	what := r.resource()
	if r.Name != "" {
		what += " " + r.Name
	}
	where := "in the whole cluster"
	switch {
	case r.Namespace != "":
		where = "in the namespace " + r.Namespace
	case r.Name != "":
		where = "" // It is the only one of the name.
	}
	return strings.TrimSpace(fmt.Sprintf("The user %s has no right to %s %s %s", r.User, r.Verb, what, where)) + "."
}

// resource returns the resource with its group, as kubectl names it.
func (r Right) resource() string {
	if r.Group == "" {
		return r.Resource
	}
	resource, subresource, isSub := strings.Cut(r.Resource, "/")
	if isSub {
		return resource + "." + r.Group + "/" + subresource
	}
	return resource + "." + r.Group
}

// Remedy says who can grant the right, and how.
func (r Right) Remedy() string {
	if r.Namespace != "" {
		return r.remedyInNamespace()
	}
	kind, known := map[string]string{
		"tenants": "tenant", "tenantclasses": "tenantclass", "tenantclassrevisions": "tenantclass", "databaseservers": "databaseserver",
	}[r.Resource]
	switch {
	case r.Group != v1alpha1.GroupVersion.Group || !known:
		return fmt.Sprintf("A cluster admin can grant it: kubectl create clusterrole NAME --verb=%s --resource=%s, and a ClusterRoleBinding.", r.Verb, r.resource())
	case r.Verb == "get" && r.Name != "":
		role := "tenantry-read-" + kind + "-" + r.Name
		return fmt.Sprintf("A cluster admin can grant it for this one: kubectl create clusterrole %s --verb=get --resource=%s --resource-name=%s && %s",
			role, r.resource(), r.Name, r.bind(role, role))
	case r.Verb == "get", r.Verb == "list", r.Verb == "watch":
		role := "tenantry-" + kind + "-viewer"
		return "A cluster admin can grant it for all of them: " + r.bind(role+":"+r.User, role)
	default:
		role := "tenantry-" + kind + "-editor"
		return "A cluster admin can grant it, with all other changes of all of them: " + r.bind(role+":"+r.User, role)
	}
}

// remedyInNamespace says who can grant a right in a namespace.
func (r Right) remedyInNamespace() string {
	role := v1alpha1.OwnerRoleViewer
	switch {
	case r.Group == "rbac.authorization.k8s.io":
		role = v1alpha1.OwnerRoleAdmin
	case r.Resource == "secrets", r.Verb != "get" && r.Verb != "list" && r.Verb != "watch":
		role = v1alpha1.OwnerRoleEditor
	}
	return fmt.Sprintf("In a tenant's namespaces, owners with the role %s have it: who manages the Tenant can give it in spec.owners. Elsewhere, a cluster admin can.", role)
}

// bind returns the command that binds a ClusterRole.
func (r Right) bind(name, role string) string {
	subject := "--user=" + quoted(r.User)
	if namespace, account, err := serviceaccount.SplitUsername(r.User); err == nil {
		subject = "--serviceaccount=" + namespace + ":" + account
	}
	return fmt.Sprintf("kubectl create clusterrolebinding %s --clusterrole=%s %s", quoted(strings.ReplaceAll(name, "/", "-")), role, subject)
}

// plain matches what a shell leaves as it is.
var plain = regexp.MustCompile(`^[-_.:@/,+a-zA-Z0-9]+$`)

// quoted returns a word for a shell.
func quoted(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
