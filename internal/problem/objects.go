package problem

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/naming"
)

// ObjectsInvalid means that templates of a TenantClass can't be compiled.
func ObjectsInvalid(err error) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"Its tenants stay at what it said before, since it has mistakes: %s.", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// ObjectInvalid means that there is no valid object for the tenant. err is a *templates.Error.
func ObjectInvalid(class string, err error) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange, "The tenant lacks an object of the class %s. %s.", class, strings.TrimSuffix(err.Error(), "."))
}

// ObjectTwice means that two templates give the same object.
func ObjectTwice(path, other, class, object string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"%s and %s of the class %s are both %s for this tenant; let them have different names.", other, path, class, object)
}

// ObjectWaitsForDatabase means that the values of an object aren't known before the database is ready.
func ObjectWaitsForDatabase(path, class string) Problem {
	return progressing("%s of the class %s waits for the database.", path, class)
}

// KindNotFound means that the cluster doesn't have the kind of an object.
func KindNotFound(path, class string, kind schema.GroupVersionKind) Problem {
	return temporary(v1alpha1.ReasonKindNotFound, OnChange,
		"%s of the class %s is a %s of %s, which the cluster does not know; the object is created once that is installed.", path, class, kind.Kind, kind.GroupVersion())
}

// KindClusterScoped means that objects of the kind are in no namespace.
func KindClusterScoped(path, class string, kind schema.GroupVersionKind) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"%s of the class %s is a %s, and objects of this kind are in no namespace, so that a tenant can't have one; leave it out of the class.", path, class, kind.Kind)
}

// KindStarting means that the operator has not seen the objects of a kind yet.
func KindStarting(kind schema.GroupVersionKind) Problem {
	return progressing("It waits until the operator has seen the objects of the kind %s.", kind.Kind)
}

// KindForbidden means that the operator may not follow the objects of a kind. err is the API server's answer.
func KindForbidden(path, class string, err error) Problem {
	return objectForbidden(path, class, err, OnChange)
}

// InObject returns what an error of putting an object in place means. An error that only means that a decision was made
// on old data stays as it is.
func InObject(path, class string, err error) error {
	if err == nil || Outdated(err) {
		return err
	}
	if _, by := refusalOf(err); by == rbac {
		return objectForbidden(path, class, err, Later)
	}
	if conflict, isConflict := errors.AsType[*apply.FieldsConflictError](err); isConflict {
		return stalled(v1alpha1.ReasonConflict, Later,
			"%s is not as %s of the class %s says, since others have set %s. Take these out of the class, or delete the object, which is then created anew.",
			conflict.Object, path, class, strings.Join(conflict.Fields, ", "))
	}
	found := Of(err)
	found.Message = fmt.Sprintf("%s of the class %s: %s", path, class, found.Message)
	return found
}

// objectForbidden says which rights the operator lacks for the objects of a kind, and how to give them to it.
func objectForbidden(path, class string, err error, retry Retry) Problem {
	resource := schema.GroupResource{}
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		resource = schema.GroupResource{Group: status.Status().Details.Group, Resource: status.Status().Details.Kind}
	}
	role := "tenantry-class-" + resource.Resource
	return temporary(v1alpha1.ReasonForbidden, retry,
		"The operator has not the rights to %s, of which %s of the class %s has one. To give them to it: kubectl create clusterrole %s --verb=get,list,watch,create,patch,delete --resource=%s && kubectl label clusterrole %s %s=true",
		resource, path, class, role, resource, role, naming.LabelAggregateToClassObjects)
}

// OriginalNotFound means that there is nothing to make a copy of.
func OriginalNotFound(class string, of v1alpha1.TenantClassCopy) Problem {
	return temporary(v1alpha1.ReasonSourceNotFound, OnChange,
		"There is no %s %q in namespace %q, of which the class %s has copies; create it. A copy that is there stays as it is.", of.Kind, of.Name, of.Namespace, class)
}

// OriginalStarting means that the operator has not seen an original yet.
func OriginalStarting(of v1alpha1.TenantClassCopy) Problem {
	return progressing("It waits until the operator has seen %s %q in namespace %q.", of.Kind, of.Name, of.Namespace)
}

// OriginalOfTenant means that an original is in a namespace of a tenant.
func OriginalOfTenant(class string, of v1alpha1.TenantClassCopy, tenant string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"The class %s has copies of %s %q in namespace %q, which is one of the tenant %s, who could change what all tenants get; move the original to a namespace of no tenant.", class, of.Kind, of.Name, of.Namespace, tenant)
}

// OriginalNotCopied means that an original is a token of a ServiceAccount, which is worth nothing elsewhere.
func OriginalNotCopied(class string, of v1alpha1.TenantClassCopy) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"The class %s has copies of Secret %q in namespace %q, which is the token of a ServiceAccount, and such are not copied; take it out of the class.", class, of.Name, of.Namespace)
}

// CopyTaken means that the operator has another object with the name of a copy.
func CopyTaken(class string, of v1alpha1.TenantClassCopy) Problem {
	return stalled(v1alpha1.ReasonConflict, OnChange,
		"The class %s has copies of %s %q, and the tenant has one of this name from the operator already; give the original another name.", class, of.Kind, of.Name)
}
