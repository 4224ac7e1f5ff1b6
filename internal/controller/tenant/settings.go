package tenant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/settings"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=patch

// loadSettings makes the files with the app's settings, and reads which Secrets it gets. What is wrong with them keeps
// the app as it is, and nothing else.
func (r *Reconciler) loadSettings(ctx context.Context, run *pass) error {
	spec := run.tenant().Spec
	if spec.App == nil {
		return nil
	}
	var features, custom error
	run.inputs.Files.Features, features = settings.Features(spec.Features)
	run.inputs.Files.CustomFields, custom = settings.CustomFields(spec.CustomFields)
	run.unfit = settingsProblem(features, custom)
	if len(spec.SecretRefs) == 0 {
		return nil
	}
	run.inputs.Secrets = map[string]string{}
	var missing []string
	for _, reference := range spec.SecretRefs {
		digest, err := r.digestOf(ctx, types.NamespacedName{Namespace: run.tenant().Name, Name: reference.Name})
		if err != nil {
			return err
		}
		if digest == "" {
			missing = append(missing, reference.Name)
		}
		run.inputs.Secrets[reference.Name] = digest
	}
	if len(missing) > 0 {
		run.unfit = errors.Join(run.unfit, problem.SettingsSecretsMissing(run.tenant().Name, missing))
	}
	return nil
}

// settingsProblem returns the problem of settings that are wrong; nil if nothing is.
func settingsProblem(errs ...error) error {
	wrong := &settings.InvalidError{}
	for _, err := range errs {
		if invalid, ok := errors.AsType[*settings.InvalidError](err); ok {
			wrong.Faults = append(wrong.Faults, invalid.Faults...)
		} else if err != nil {
			return err
		}
	}
	if len(wrong.Faults) == 0 {
		return nil
	}
	return problem.SettingsInvalid(wrong.Error())
}

// digestOf returns what changes with a Secret; empty if there is none.
func (r *Reconciler) digestOf(ctx context.Context, key types.NamespacedName) (string, error) {
	managed := &corev1.Secret{}
	if found, err := r.read(ctx, key, managed); found || err != nil {
		return digest(managed), err
	}
	return r.Secrets.digestOf(ctx, key)
}

// showFiles makes the kubelets update the files in the app's pods, by a change of the pods' annotations. Without that,
// they would do so within a minute or two.
func (r *Reconciler) showFiles(ctx context.Context, run *pass) error {
	revision := parts.FilesRevision(run.inputs)
	if revision == "" {
		return nil
	}
	pods := &corev1.PodList{}
	if err := r.List(ctx, pods, client.InNamespace(run.tenant().Name), client.MatchingLabels(naming.ManagedLabels(run.tenant().Name))); err != nil {
		return err
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, naming.AnnotationFiles, revision))
	var failures []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Annotations[naming.AnnotationFiles] == revision || !pod.DeletionTimestamp.IsZero() {
			continue
		}
		shown := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
		err := r.Patch(ctx, shown, patch, client.FieldOwner(naming.FieldOwner))
		failures = append(failures, client.IgnoreNotFound(err))
	}
	return errors.Join(failures...)
}

// SettingsSecrets follows the Secrets that aren't the operator's, which may be settings of apps. It has none of their
// content, but a digest. Nothing is followed before the first tenant has such a Secret. It is a source of the
// controller.
type SettingsSecrets struct {
	cluster client.WithWatch
	changes fleet.Notices
	tenants func(ctx context.Context, namespace string) []reconcile.Request

	begin  sync.Once
	store  toolscache.Store
	synced toolscache.InformerSynced
}

// NewSettingsSecrets returns SettingsSecrets of a cluster.
func NewSettingsSecrets(cluster client.WithWatch) *SettingsSecrets {
	return &SettingsSecrets{cluster: cluster}
}

// Start has tenants reconciled in whose namespaces a Secret has changed.
func (s *SettingsSecrets) Start(ctx context.Context, q queue) error {
	return noticed(&s.changes, s.tenants).Start(ctx, q)
}

// secretsPatience is how long the first list of Secrets may take.
const secretsPatience = 20 * time.Second

// digestOf returns what changes with a Secret; empty if there is none.
func (s *SettingsSecrets) digestOf(ctx context.Context, key types.NamespacedName) (string, error) {
	s.begin.Do(func() { s.follow(context.WithoutCancel(ctx)) })
	ctx, cancel := context.WithTimeout(ctx, secretsPatience)
	defer cancel()
	if !toolscache.WaitForCacheSync(ctx.Done(), s.synced) {
		return "", fmt.Errorf("can't list the Secrets of the cluster: %w", context.Cause(ctx))
	}
	item, found, err := s.store.GetByKey(key.String())
	if err != nil || !found {
		return "", err
	}
	return item.(*corev1.Secret).Annotations[digestKey], nil
}

// unlikely are the types of Secrets that no app gets as settings, and of which there may be many.
var unlikely = fields.AndSelectors(
	fields.OneTermNotEqualSelector("type", "helm.sh/release.v1"),
	fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeServiceAccountToken)))

func (s *SettingsSecrets) follow(ctx context.Context) {
	others, err := labels.NewRequirement(naming.LabelManagedBy, selection.NotEquals, []string{naming.ManagedBy})
	if err != nil {
		panic(err) // The label is a constant.
	}
	with := func(raw metav1.ListOptions) []client.ListOption {
		return []client.ListOption{
			client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*others)}, client.MatchingFieldsSelector{Selector: unlikely},
			&client.ListOptions{Raw: &raw},
		}
	}
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			list := &corev1.SecretList{}
			return list, s.cluster.List(ctx, list, with(raw)...)
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return s.cluster.Watch(ctx, &corev1.SecretList{}, with(raw)...)
		},
	}
	store, controller := toolscache.NewInformerWithOptions(toolscache.InformerOptions{
		ListerWatcher: source, ObjectType: &corev1.Secret{}, Transform: onlyDigest,
		Handler: toolscache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(object any, known bool) {
				if !known {
					s.changed(object)
				}
			},
			UpdateFunc: func(was, is any) {
				if was.(*corev1.Secret).Annotations[digestKey] != is.(*corev1.Secret).Annotations[digestKey] {
					s.changed(is)
				}
			},
			DeleteFunc: s.changed,
		},
	})
	s.store, s.synced = store, controller.HasSynced
	go controller.RunWithContext(ctx)
}

func (s *SettingsSecrets) changed(object any) {
	if tombstone, missed := object.(toolscache.DeletedFinalStateUnknown); missed {
		object = tombstone.Obj
	}
	if secret, isSecret := object.(*corev1.Secret); isSecret {
		s.changes.Add(secret.Namespace)
	}
}

// byPrimaryNamespace returns the tenant with this name, if there is one.
func (r *Reconciler) byPrimaryNamespace(ctx context.Context, namespace string) []reconcile.Request {
	if err := r.Get(ctx, types.NamespacedName{Name: namespace}, &v1alpha1.Tenant{}); apierrors.IsNotFound(err) {
		return nil
	}
	return requestsFor([]string{namespace})
}
