package tenantclass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// defaultHistoryLimit is how many revisions that no tenant uses are kept. The comment of the field says it, too.
const defaultHistoryLimit = 10

// ensureRevision makes the revision with the current content of a class, unless there is one, and returns its name.
// Equal content is the same revision.
func (r *Reconciler) ensureRevision(ctx context.Context, class *v1alpha1.TenantClass) (string, error) {
	content, err := contentOf(class)
	if err != nil {
		return "", err
	}
	revision := &v1alpha1.TenantClassRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name:   naming.Revision(class.Name, content),
			Labels: map[string]string{naming.LabelManagedBy: naming.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "TenantClass", Name: class.Name, UID: class.UID, Controller: new(true),
			}},
		},
		Spec: v1alpha1.TenantClassRevisionSpec{ClassName: class.Name, Tenant: class.Spec.Tenant, Objects: class.Spec.Objects, Copies: class.Spec.Copies},
	}
	found := &v1alpha1.TenantClassRevision{}
	err = r.Get(ctx, types.NamespacedName{Name: revision.Name}, found)
	if apierrors.IsNotFound(err) {
		err = r.Create(ctx, revision, client.FieldOwner(naming.FieldOwner))
		if apierrors.IsAlreadyExists(err) {
			err = r.Live.Get(ctx, types.NamespacedName{Name: revision.Name}, found)
		} else {
			found = revision
		}
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("write the revision %s: %w", revision.Name, err)
	case !metav1.IsControlledBy(found, class):
		return "", fmt.Errorf("the revision %s is one of a former TenantClass of this name, and is waited for until it is gone", revision.Name)
	}
	return revision.Name, nil
}

// contentOf returns what a class says about its tenants, as a text.
func contentOf(class *v1alpha1.TenantClass) ([]byte, error) {
	content, err := json.Marshal(class.Spec.Tenant)
	if err != nil || len(class.Spec.Objects)+len(class.Spec.Copies) == 0 {
		return content, err // So that a class without objects has the revision that it had before there were any.
	}
	further, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.TenantClassRevisionSpec{
		ClassName: class.Name, Objects: class.Spec.Objects, Copies: class.Spec.Copies,
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(further) // Templates have their fields in this order, however they were written.
	return append(content, text...), err
}

// prune deletes the oldest of the revisions that no tenant uses, beyond the limit of the class.
func (r *Reconciler) prune(ctx context.Context, class *v1alpha1.TenantClass) error {
	list := &v1alpha1.TenantClassRevisionList{}
	if err := r.List(ctx, list, client.MatchingFields{naming.IndexRevision: class.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	var failures []error
	for _, revision := range superfluous(list.Items, class.Status.CurrentRevision, r.inUse(class), int(ptr.Deref(class.Spec.RevisionHistoryLimit, defaultHistoryLimit))) {
		err := r.Delete(ctx, revision.DeepCopy(), client.Preconditions{UID: &revision.UID})
		if err = client.IgnoreNotFound(err); err != nil {
			failures = append(failures, fmt.Errorf("delete the revision %s: %w", revision.Name, err))
		}
	}
	return errors.Join(failures...)
}

// inUse returns which revisions of a class tenants are at, pinned to or told to change to, or will get.
func (r *Reconciler) inUse(class *v1alpha1.TenantClass) func(string) bool {
	return func(revision string) bool {
		return revision == class.Status.StableRevision || r.Fleet.Classes.InUse(revision) ||
			slices.ContainsFunc(class.Status.InFlight, func(entry v1alpha1.TenantClassAssignment) bool { return entry.Revision == revision })
	}
}

// superfluous returns the revisions to delete: those that are neither current nor in use, but for the newest.
func superfluous(revisions []v1alpha1.TenantClassRevision, current string, inUse func(string) bool, limit int) []*v1alpha1.TenantClassRevision {
	var unused []*v1alpha1.TenantClassRevision
	for i := range revisions {
		if name := revisions[i].Name; name != current && !inUse(name) && revisions[i].DeletionTimestamp.IsZero() {
			unused = append(unused, &revisions[i])
		}
	}
	slices.SortFunc(unused, func(a, b *v1alpha1.TenantClassRevision) int {
		if order := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return unused[min(limit, len(unused)):]
}
