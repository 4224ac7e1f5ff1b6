package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/environment"
)

// state is everything that exists of a tenant, in words that are the same for two tenants with the same spec.
type state struct {
	// Objects are the Tenant, its namespace and what is in it, by kind and name.
	Objects map[string]any
	// Database is what PostgreSQL has, one line each.
	Database []string
}

// stateOf reads the state of a tenant. Some or all of it may be gone.
func stateOf(ctx context.Context, tenant *v1alpha1.Tenant) (state, error) {
	password, _, err := passwordOf(ctx, tenant)
	if err != nil {
		return state{}, err
	}
	pairs := []string{databaseName(tenant), "DATABASE", tenant.Name, "TENANT", string(tenant.UID), "UID"}
	if password != "" {
		pairs = append(pairs, password, "PASSWORD")
	}
	neutral := strings.NewReplacer(pairs...)
	objects, err := objectsOf(ctx, tenant, neutral)
	if err != nil {
		return state{}, err
	}
	lines, err := databaseOf(ctx, tenant)
	for i := range lines {
		lines[i] = neutral.Replace(lines[i])
	}
	return state{Objects: objects, Database: lines}, err
}

func databaseName(tenant *v1alpha1.Tenant) string { return database.Name(string(tenant.UID)) }

// passwordOf returns the password in the tenant's Secret, and whether there is one.
func passwordOf(ctx context.Context, tenant *v1alpha1.Tenant) (password string, found bool, err error) {
	secret := &corev1.Secret{}
	err = env.Client.Get(ctx, client.ObjectKey{Namespace: tenant.Name, Name: "database"}, secret)
	return string(secret.Data["password"]), err == nil, client.IgnoreNotFound(err)
}

func objectsOf(ctx context.Context, tenant *v1alpha1.Tenant, neutral *strings.Replacer) (map[string]any, error) {
	var found []runtime.Object
	for _, object := range []client.Object{&v1alpha1.Tenant{}, &corev1.Namespace{}} {
		switch err := env.Client.Get(ctx, client.ObjectKey{Name: tenant.Name}, object); {
		case err == nil:
			found = append(found, object)
		case !apierrors.IsNotFound(err):
			return nil, err
		}
	}
	for _, list := range []client.ObjectList{
		&corev1.SecretList{}, &corev1.ResourceQuotaList{}, &corev1.LimitRangeList{}, &networkingv1.NetworkPolicyList{},
		&rbacv1.RoleList{}, &rbacv1.RoleBindingList{}, &corev1.ServiceAccountList{}, &corev1.ConfigMapList{}, &corev1.ServiceList{},
		&policyv1.PodDisruptionBudgetList{}, &appsv1.DeploymentList{},
	} {
		if err := env.Client.List(ctx, list, client.InNamespace(tenant.Name)); err != nil {
			return nil, err
		}
		items, err := apimeta.ExtractList(list)
		if err != nil {
			return nil, err
		}
		found = append(found, items...)
	}
	described := map[string]any{}
	for _, object := range found {
		name, content, err := describe(object, neutral)
		if err != nil {
			return nil, err
		}
		described[name] = content
	}
	return described, nil
}

// changing are fields that differ between equal objects, and fields that change by themselves.
var changing = [][]string{
	{"metadata", "uid"}, {"metadata", "resourceVersion"}, {"metadata", "creationTimestamp"}, {"metadata", "managedFields"},
	{"metadata", "annotations", "tenantry.dev/applied"}, {"metadata", "annotations", naming.AnnotationRotatedAt},
	{"spec", "template", "metadata", "annotations", naming.AnnotationSettings},
	{"spec", "clusterIP"}, {"spec", "clusterIPs"},
	{"status", "usage"}, {"status", "database", "credentialsRevision"}, {"status", "database", "rotatedAt"},
}

// describe returns an object in neutral words, including its generation and the Deployment's revision, so that
// unnecessary changes and rollouts are seen.
func describe(object runtime.Object, neutral *strings.Replacer) (name string, content map[string]any, err error) {
	gvk, err := apiutil.GVKForObject(object, env.Client.Scheme())
	if err != nil {
		return "", nil, err
	}
	if secret, ok := object.(*corev1.Secret); ok {
		secret.StringData = map[string]string{}
		for key, value := range secret.Data {
			secret.StringData[key] = string(value)
		}
		secret.Data = nil
	}
	content, err = runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return "", nil, err
	}
	for _, field := range changing {
		unstructured.RemoveNestedField(content, field...)
	}
	if tenant, ok := object.(*v1alpha1.Tenant); ok {
		content["status"].(map[string]any)["conditions"] = conditions(tenant)
	} else {
		delete(content, "status")
	}
	described, err := json.Marshal(content)
	if err != nil {
		return "", nil, err
	}
	clear(content)
	err = json.Unmarshal([]byte(neutral.Replace(string(described))), &content)
	return gvk.Kind + "/" + neutral.Replace(object.(client.Object).GetName()), content, err
}

// conditions returns the conditions of a tenant, without their times.
func conditions(tenant *v1alpha1.Tenant) []any {
	lines := make([]any, 0, len(tenant.Status.Conditions))
	for _, condition := range tenant.Status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s at %d: %s",
			condition.Type, condition.Status, condition.Reason, condition.ObservedGeneration, condition.Message))
	}
	slices.SortFunc(lines, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return lines
}

// databaseOf returns what PostgreSQL has of a tenant: entries of the registry, roles, databases.
func databaseOf(ctx context.Context, tenant *v1alpha1.Tenant) ([]string, error) {
	name := databaseName(tenant)
	lines, err := environment.Query[string](ctx, env.Postgres, "postgres", `
		SELECT format('registry: %s is %s for %s %s by %s, secured %s', name, state, tenant, uid, isolation,
			secured IN (SELECT oid FROM pg_database WHERE datname::text IN (name, 'tenantry_schema')))
		FROM tenantry.tenants WHERE uid = $2 OR name = $1
		UNION ALL
		SELECT format('role: %s limit %s, login %s, password %s, privileged %s, settings %s, in %s', rolname, rolconnlimit,
			rolcanlogin, rolpassword IS NOT NULL, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls,
			(SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setrole = pg_authid.oid),
			(SELECT array_agg(roleid::regrole) FROM pg_auth_members WHERE member = pg_authid.oid))
		FROM pg_authid WHERE starts_with(rolname, $1)
		UNION ALL
		SELECT format('database: %s of %s limit %s, open %s, template %s, access %s', datname, datdba::regrole, datconnlimit,
			datallowconn, datistemplate, datacl)
		FROM pg_database WHERE starts_with(datname, $1)
		ORDER BY 1`, name, string(tenant.UID))
	if err != nil {
		return nil, err
	}
	shared, err := sharedOf(ctx, name)
	lines = append(lines, shared...)
	if err != nil || !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "database:") }) {
		return lines, err
	}
	inside, err := environment.Query[string](ctx, env.Postgres, name, `
		SELECT format('schema: %s of %s, access %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname = 'public'
		UNION ALL
		SELECT format('table: %s of %s', relname, relowner::regrole) FROM pg_class WHERE relnamespace = 'public'::regnamespace
		ORDER BY 1`)
	return append(lines, inside...), err
}

// sharedOf returns what a tenant has in the databases that tenants share.
func sharedOf(ctx context.Context, name string) ([]string, error) {
	schema, err := environment.Query[string](ctx, env.Postgres, "tenantry_schema", `
		SELECT format('schema: %s of %s, access %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname = $1
		UNION ALL
		SELECT format('table: %s of %s', relname, relowner::regrole) FROM pg_class WHERE relnamespace::regnamespace::text = $1
		ORDER BY 1`, name)
	if err != nil {
		return nil, err
	}
	rows, err := environment.Query[string](ctx, env.Postgres, "tenantry_row", `
		SELECT format('row: %s of %s', number, tenant_id) FROM orders WHERE tenant_id = $1`, name)
	return append(schema, rows...), err
}

// orphans returns databases, schemas, rows, roles, entries of the registry and namespaces that belong to no
// tenant. What is retained is in the registry, and no orphan.
func orphans(ctx context.Context) ([]string, error) {
	tenants, namespaces := &v1alpha1.TenantList{}, &corev1.NamespaceList{}
	if err := env.Client.List(ctx, tenants); err != nil {
		return nil, err
	}
	if err := env.Client.List(ctx, namespaces, client.HasLabels{naming.LabelTenant}); err != nil {
		return nil, err
	}
	var uids, names []string
	for i := range tenants.Items {
		uids, names = append(uids, string(tenants.Items[i].UID)), append(names, tenants.Items[i].Name)
	}
	lines, err := environment.Query[string](ctx, env.Postgres, "postgres", `
		SELECT 'database ' || datname FROM pg_database WHERE starts_with(datname, 't_') AND datname::text NOT IN (SELECT name FROM tenantry.tenants)
		UNION ALL
		SELECT 'role ' || rolname FROM pg_authid WHERE starts_with(rolname, 't_') AND left(rolname, 22) NOT IN (SELECT name FROM tenantry.tenants)
		UNION ALL
		SELECT 'registry ' || name FROM tenantry.tenants WHERE state = 'Active' AND uid <> ALL ($1)`, uids)
	if err != nil {
		return nil, err
	}
	registered, err := environment.Query[string](ctx, env.Postgres, "postgres", "SELECT name FROM tenantry.tenants")
	if err != nil {
		return nil, err
	}
	for _, shared := range []struct{ database, query string }{
		{"tenantry_schema", "SELECT 'schema ' || nspname FROM pg_namespace WHERE starts_with(nspname, 't_') AND nspname::text <> ALL ($1)"},
		{"tenantry_row", "SELECT 'row of ' || tenant_id FROM orders WHERE tenant_id <> ALL ($1)"},
	} {
		left, err := environment.Query[string](ctx, env.Postgres, shared.database, shared.query, registered)
		if err != nil {
			return nil, err
		}
		lines = append(lines, left...)
	}
	for i := range namespaces.Items {
		if !slices.Contains(names, namespaces.Items[i].Name) {
			lines = append(lines, "namespace "+namespaces.Items[i].Name)
		}
	}
	return lines, nil
}
