package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OwnerKind is the kind of an owner, as in the subjects of a RoleBinding.
// +kubebuilder:validation:Enum=User;Group;ServiceAccount
// +kubebuilder:validation:MaxLength=14
type OwnerKind string

// The kinds of owners.
const (
	// OwnerKindUser is a user, with the name that the API server's authentication gives it.
	OwnerKindUser OwnerKind = "User"
	// OwnerKindGroup is a group of users.
	OwnerKindGroup OwnerKind = "Group"
	// OwnerKindServiceAccount is a ServiceAccount, with its namespace.
	OwnerKindServiceAccount OwnerKind = "ServiceAccount"
)

// OwnerRole says what an owner may do in the tenant's namespaces.
// +kubebuilder:validation:Enum=Admin;Editor;Viewer
// +kubebuilder:validation:MaxLength=6
type OwnerRole string

// The roles of owners. Each is bound to the ClusterRole of Kubernetes' own user-facing roles
// (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles).
const (
	// OwnerRoleAdmin gives the ClusterRole admin, which includes granting rights within the namespace, and the right
	// to create and delete further namespaces of the tenant.
	OwnerRoleAdmin OwnerRole = "Admin"
	// OwnerRoleEditor gives the ClusterRole edit.
	OwnerRoleEditor OwnerRole = "Editor"
	// OwnerRoleViewer gives the ClusterRole view, which excludes Secrets.
	OwnerRoleViewer OwnerRole = "Viewer"
)

// Owner is a user, group or ServiceAccount with rights in the tenant's namespaces.
// +kubebuilder:validation:XValidation:rule="(self.kind == 'ServiceAccount') == has(self.__namespace__)",message="an owner of kind ServiceAccount needs the namespace of the ServiceAccount, and owners of other kinds have none"
// +kubebuilder:validation:XValidation:rule="!has(self.trustNamespace) || !self.trustNamespace || self.kind == 'ServiceAccount' || self.name.startsWith('system:serviceaccount')",message="trustNamespace is about the namespace of a ServiceAccount; leave it out for other owners"
type Owner struct {
	// kind is User, Group or ServiceAccount.
	// +required
	Kind OwnerKind `json:"kind,omitempty"`

	// name is the name of the user, group or ServiceAccount.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// namespace is the namespace of the ServiceAccount. Other kinds have none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// role is Admin, Editor or Viewer: what Kubernetes' ClusterRoles admin, edit and view allow,
	// within the tenant's namespaces. An Admin may also create and delete further namespaces of the
	// tenant, up to spec.namespaces.limit.
	// +required
	Role OwnerRole `json:"role,omitempty"`

	// clusterRoles are the names of further ClusterRoles that the owner has in each of the tenant's
	// namespaces. The operator must be allowed to bind them; if it isn't, AccessReady says how to allow
	// it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(r, !r.contains('/') && !r.contains('%') && r != '.' && r != '..')",message="clusterRoles has a name that no ClusterRole can have; leave out slashes and percent signs"
	ClusterRoles []string `json:"clusterRoles,omitempty"`

	// trustNamespace gives a ServiceAccount its rights even while its namespace doesn't exist or belongs to another
	// tenant. Whoever controls that namespace then has these rights, too. Left out, it is false: such a
	// ServiceAccount has no rights, and AccessReady says so.
	// +optional
	TrustNamespace bool `json:"trustNamespace,omitempty"`
}

// ContainerLimits are limits and defaults for each container, enforced by a LimitRange.
// +kubebuilder:validation:XValidation:rule="[has(self.default) ? self.default : {}, has(self.defaultRequest) ? self.defaultRequest : {}, has(self.max) ? self.max : {}].all(l, l.all(k, k in ['cpu', 'memory', 'ephemeral-storage']))",message="containers knows the resources cpu, memory and ephemeral-storage"
// +kubebuilder:validation:XValidation:rule="[has(self.default) ? self.default : {}, has(self.defaultRequest) ? self.defaultRequest : {}, has(self.max) ? self.max : {}].all(l, l.all(k, !string(l[k]).startsWith('-')))",message="containers has a negative quantity; write zero or more"
// +kubebuilder:validation:XValidation:rule="!has(self.default) || !has(self.max) || self.default.all(k, !(k in self.max) || quantity(string(self.default[k])).compareTo(quantity(string(self.max[k]))) <= 0)",message="containers.default is above containers.max; lower the default or raise the maximum"
// +kubebuilder:validation:XValidation:rule="!has(self.defaultRequest) || !has(self.default) || self.defaultRequest.all(k, !(k in self.default) || quantity(string(self.defaultRequest[k])).compareTo(quantity(string(self.default[k]))) <= 0)",message="containers.defaultRequest is above containers.default; a request can't be above its limit"
// +kubebuilder:validation:XValidation:rule="!has(self.defaultRequest) || !has(self.max) || self.defaultRequest.all(k, !(k in self.max) || quantity(string(self.defaultRequest[k])).compareTo(quantity(string(self.max[k]))) <= 0)",message="containers.defaultRequest is above containers.max; lower the request or raise the maximum"
type ContainerLimits struct {
	// default are the limits of containers that have none: cpu, memory, ephemeral-storage.
	// +optional
	// +kubebuilder:validation:MaxProperties=3
	Default corev1.ResourceList `json:"default,omitempty"`

	// defaultRequest are the requests of containers that have none.
	// +optional
	// +kubebuilder:validation:MaxProperties=3
	DefaultRequest corev1.ResourceList `json:"defaultRequest,omitempty"`

	// max are the highest limits that a container may have.
	// +optional
	// +kubebuilder:validation:MaxProperties=3
	Max corev1.ResourceList `json:"max,omitempty"`
}

// TenantNetwork allows connections of the tenant's pods beyond those to DNS, the tenant's own pods and
// its database.
type TenantNetwork struct {
	// ingress are rules for connections to all pods of the tenant, as in a NetworkPolicy.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Ingress []networkingv1.NetworkPolicyIngressRule `json:"ingress,omitempty"`

	// egress are rules for connections from all pods of the tenant, as in a NetworkPolicy.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Egress []networkingv1.NetworkPolicyEgressRule `json:"egress,omitempty"`
}

// TenantSpec describes what a tenant may use and what it runs. A rule that begins with className is about what a
// class may have instead, so it is left out of a TenantClass; see hack/crds.
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || has(self.app.image)",message="the app needs an image; write one such as registry.example/shop:1, or name the class that has it in spec.className",reason=FieldValueRequired,fieldPath=".app.image"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.autoscaling) || has(self.app.autoscaling.maxReplicas)",message="autoscaling needs the highest number of pods; write it in maxReplicas, or name the class that has it in spec.className",reason=FieldValueRequired,fieldPath=".app.autoscaling.maxReplicas"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.database) || !has(self.database.dedicated) || has(self.database.dedicated.storage)",message="the tenant's own database server needs a size; write one such as 10Gi, or name the class that has it in spec.className",reason=FieldValueRequired,fieldPath=".database.dedicated.storage"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.database) || !has(self.database.sharedTables) || self.database.sharedTables == 'Use' || (has(self.database.isolation) && self.database.isolation == 'Row')",message="sharedTables is about the isolation Row; set isolation to Row, or leave sharedTables out",fieldPath=".database.sharedTables"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.database) || (has(self.database.isolation) && self.database.isolation == 'Dedicated') || has(self.database.serverRef) != has(self.database.serverSelector)",message="the database needs a server: name it in serverRef, or write in serverSelector which labels it must have, and leave the other one out",fieldPath=".database"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.database) || !has(self.database.isolation) || self.database.isolation != 'Dedicated' || (!has(self.database.serverRef) && !has(self.database.serverSelector))",message="a tenant of the isolation Dedicated gets a server of its own; leave serverRef and serverSelector out",fieldPath=".database"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.database) || has(self.database.dedicated) == (has(self.database.isolation) && self.database.isolation == 'Dedicated')",message="dedicated says what server a tenant of the isolation Dedicated gets, and no other one has it; set isolation to Dedicated and dedicated.storage to a size such as 10Gi, or leave dedicated out",fieldPath=".database.dedicated"
// +kubebuilder:validation:XValidation:rule="!has(self.classRevision) || has(self.className) && self.className.size() > 0",message="classRevision pins the tenant to a revision of its class; name the class in className, or leave classRevision out",fieldPath=".classRevision"
// +kubebuilder:validation:XValidation:rule="!has(self.quota) || self.quota.all(k, k.matches('^(cpu|memory|ephemeral-storage|pods|services|services[.](loadbalancers|nodeports)|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|(requests|limits)[.](cpu|memory|ephemeral-storage)|requests[.]storage|hugepages-.+|requests[.]hugepages-.+|requests[.][^/]+/.+|count/.+|.+[.]storageclass[.]storage[.]k8s[.]io/(requests[.]storage|persistentvolumeclaims)|.+[.]deviceclass[.]resource[.]k8s[.]io/devices)$'))",message="quota has an entry that ResourceQuota does not know; write a name such as requests.cpu, limits.memory, requests.storage, pods, services.nodeports, count/deployments.apps or requests.nvidia.com/gpu",fieldPath=".quota"
// +kubebuilder:validation:XValidation:rule="!has(self.quota) || self.quota.all(k, !string(self.quota[k]).startsWith('-'))",message="quota has a negative entry; write zero or more, or leave the entry out for no limit",fieldPath=".quota"
// +kubebuilder:validation:XValidation:rule="!has(self.config) || self.config.all(k, k.matches('^[-._a-zA-Z0-9]+$'))",message="config has a key that can not be an environment variable; use letters, digits, dashes, dots and underscores",fieldPath=".config"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.workers) || self.app.workers.all(w, has(w.command) || has(w.args))",message="a worker needs a program that differs from the app's; write its command or args, or name the class that has it in spec.className",reason=FieldValueRequired,fieldPath=".app.workers"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.workers) || self.app.workers.all(w, !has(w.autoscaling) || has(w.autoscaling.maxReplicas))",message="the autoscaling of a worker needs the highest number of pods; write it in maxReplicas, or name the class that has it in spec.className",reason=FieldValueRequired,fieldPath=".app.workers"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.schedules) || self.app.schedules.all(s, has(s.schedule) && (has(s.command) || has(s.args)))",message="a schedule needs the times at which it runs, and a program; write schedule, such as '0 3 * * *', and command or args, or name the class that has them in spec.className",reason=FieldValueRequired,fieldPath=".app.schedules"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.migration) || has(self.app.migration.command) || has(self.app.migration.args)",message="a migration needs a program; write its command or args, or name the class that has it in spec.className",reason=FieldValueRequired,fieldPath=".app.migration"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.expose) || !has(self.app.expose.hostnames) || has(self.app.port)",message="an app that is exposed needs the port that it listens on; write one such as 8080 in app.port, or leave app.expose out",reason=FieldValueRequired,fieldPath=".app.port"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.expose) || !has(self.app.expose.hostnames) || !has(self.policy) || !has(self.policy.hostnames) || self.policy.hostnames.size() == 0 || self.app.expose.hostnames.all(h, self.policy.hostnames.exists(p, h == p || p.startsWith('*.') && h.size() >= p.size() && h.endsWith(p.substring(1))))",message="app.expose has a hostname that is not among policy.hostnames; add it there, or leave policy.hostnames out, so that the hostnames of app.expose are the tenant's",reason=FieldValueForbidden,fieldPath=".app.expose.hostnames"
// +kubebuilder:validation:XValidation:rule="has(self.className) && self.className.size() > 0 || !has(self.app) || !has(self.app.volumeMounts) || has(self.app.volumes) && self.app.volumeMounts.all(m, self.app.volumes.exists(v, v.name == m.name))",message="app.volumeMounts names a volume that is not there; add it to app.volumes",fieldPath=".app.volumeMounts"
// +kubebuilder:validation:XValidation:rule="!has(self.app) || !has(self.app.volumes) || !has(self.app.replicas) || self.app.replicas < 2 || self.app.volumes.all(v, !has(v.storage) || has(v.storage.accessMode) && v.storage.accessMode == 'ReadWriteMany')",message="app.volumes has storage that only one pod or node can mount, and app.replicas is more than 1; write accessMode ReadWriteMany, or replicas 1",fieldPath=".app.replicas"
// +kubebuilder:validation:XValidation:rule="!has(self.app) || !has(self.app.volumes) || !has(self.app.autoscaling) || !has(self.app.autoscaling.maxReplicas) || self.app.autoscaling.maxReplicas < 2 || self.app.volumes.all(v, !has(v.storage) || has(v.storage.accessMode) && v.storage.accessMode == 'ReadWriteMany')",message="app.volumes has storage that only one pod or node can mount, and app.autoscaling.maxReplicas is more than 1; write accessMode ReadWriteMany, or replicas 1 instead of autoscaling",fieldPath=".app.autoscaling.maxReplicas"
type TenantSpec struct {
	// className is the name of the TenantClass with what this spec leaves out. It can be changed; what is fixed once a
	// database is placed then stays as it is. "" is no class. Left out, a new tenant gets the default class, if there is
	// one, and keeps the class that it has got; status.class has its name.
	// +optional
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="className must be the name of a TenantClass, such as gold, or \"\" for no class"
	ClassName *string `json:"className,omitempty"`

	// classRevision is the name of a TenantClassRevision of the class. The tenant stays at it when the class changes.
	// Left out, the tenant follows the class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	ClassRevision string `json:"classRevision,omitempty"`

	// displayName is a human-readable name of the tenant.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DisplayName string `json:"displayName,omitempty"`

	// owners are the users, groups and ServiceAccounts with rights in the tenant's namespaces. Each is
	// listed once.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(o, self.exists_one(p, p.kind == o.kind && p.name == o.name && (p.kind != 'ServiceAccount' || !has(p.__namespace__) || !has(o.__namespace__) || p.__namespace__ == o.__namespace__)))",message="owners lists somebody more than once; give each owner one role"
	Owners []Owner `json:"owners,omitempty"`

	// namespaces limits the number of the tenant's namespaces. Left out, it has the one with its name.
	// +optional
	Namespaces TenantNamespaces `json:"namespaces,omitzero"`

	// quota limits what all of the tenant's objects use together, in all its namespaces. It moves between
	// the namespaces as needed. The keys are those of a ResourceQuota
	// (https://kubernetes.io/docs/concepts/policy/resource-quotas/), for example requests.cpu,
	// requests.memory, requests.storage, pods. What isn't listed isn't limited.
	// +optional
	// +kubebuilder:validation:MaxProperties=24
	Quota corev1.ResourceList `json:"quota,omitempty"`

	// containers are limits and defaults for each container. Left out, a container that states no limits
	// has cpu 500m and memory 256Mi, and requests cpu 100m and memory 128Mi. If set, it applies exactly as
	// written: {} sets neither limits nor defaults.
	// +optional
	Containers *ContainerLimits `json:"containers,omitempty"`

	// network allows connections beyond the default. By default, the tenant's pods reach DNS, the tenant's
	// own pods and its database, and only the tenant's own pods reach them.
	// +optional
	Network TenantNetwork `json:"network,omitzero"`

	// policy has the rules for objects in the tenant's namespaces. The operator copies them into each namespace as
	// the TenantPolicy tenant. Each rule says what applies if it is left out.
	// +optional
	Policy PolicyRules `json:"policy,omitzero"`

	// database gives the tenant a database. Left out, it has none.
	// +optional
	Database *TenantDatabase `json:"database,omitempty"`

	// app is an app that the operator runs for the tenant. Left out, the tenant has none.
	// +optional
	App *TenantApp `json:"app,omitempty"`

	// config has settings of the app. Each becomes an environment variable.
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	Config map[string]string `json:"config,omitempty"`

	// secretRefs name Secrets in the tenant's primary namespace. Each of their keys becomes an environment variable
	// of the app, and a file in /etc/tenantry/secrets, in a folder with the name of the Secret. The app gets what
	// changes in them; app.reload says how.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	SecretRefs []SettingsSecret `json:"secretRefs,omitempty"`

	// features are the app's feature flags, by name. Each is a boolean, a string or a number, or has variants, a
	// defaultVariant and, if wanted, targeting, as in a flag definition of flagd
	// (https://flagd.dev/reference/flag-definitions/). The app gets them as the file
	// /etc/tenantry/settings/features.json, which the providers of OpenFeature for flagd read. Up to 128 KiB.
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	Features map[string]apiextensionsv1.JSON `json:"features,omitempty"` //nolint:kubeapilinter // The names are the keys of the file that is made of it.

	// customFields are further fields of the app's entities: a JSON Schema (https://json-schema.org) for each entity,
	// by its name. The app gets them as the file /etc/tenantry/settings/custom-fields.json. Up to 128 KiB.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	CustomFields map[string]apiextensionsv1.JSON `json:"customFields,omitempty"` //nolint:kubeapilinter // The names are those of the entities.

	// hibernation says when the tenant sleeps: without pods of its app, and with its data kept. Left out, it is always
	// awake.
	// +optional
	Hibernation *TenantHibernation `json:"hibernation,omitempty"`

	// cordoned freezes the tenant: only cluster admins and the cluster itself may change anything in its
	// namespaces or open a session to a pod. Reading is allowed, and pods keep running. Left out, it is
	// false.
	// +optional
	Cordoned bool `json:"cordoned,omitempty"`

	// deletionProtection keeps anyone from deleting the Tenant until it is set to false. Left out, it is
	// false.
	// +optional
	DeletionProtection bool `json:"deletionProtection,omitempty"`

	// adoptObjects makes the operator take over what a backup tool has restored: objects without a controller that
	// have the operator's labels and annotations, and the database that the restored Secret names, if it is
	// registered for a former Tenant of the same name. Left out, it is false, and such objects are conflicts.
	// +optional
	AdoptObjects bool `json:"adoptObjects,omitempty"`
}

// TenantUsage is how much of its quota the tenant uses, in all its namespaces together.
type TenantUsage struct {
	// hard is the current quota.
	// +optional
	Hard corev1.ResourceList `json:"hard,omitempty"`

	// used is how much of it is in use. It can be some seconds old.
	// +optional
	Used corev1.ResourceList `json:"used,omitempty"`
}

// TenantStatusClass is the class that a tenant has.
type TenantStatusClass struct {
	// name is the name of the TenantClass.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	Name string `json:"name,omitempty"`

	// revision is the name of the TenantClassRevision that the tenant is at, as far as its conditions say so. It can be
	// older than the class's current one if that changes nothing for this tenant, or has not reached it yet.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision,omitempty"`

	// assignedAt is when the tenant got the class.
	// +required
	AssignedAt metav1.Time `json:"assignedAt,omitzero"`

	// readyAt is since when the tenant is Ready at this revision. That further pods of its app start doesn't change it.
	// +optional
	ReadyAt *metav1.Time `json:"readyAt,omitempty"`
}

// TenantStatus is the observed state of a Tenant.
type TenantStatus struct {
	// conditions describe the state of the tenant. Ready, NamespaceReady, QuotaReady, NetworkReady and AccessReady
	// are always present; DatabaseReady and AppReady if the spec has a database or an app; ObjectsReady if the class
	// has objects or copies; Reconciling and Stalled only while True. UnexpectedAccess is present while other roles are members of the tenant's database roles, or
	// its roles are members of others.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status reflects.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// class is the tenant's class. It is absent if the tenant has none.
	// +optional
	Class *TenantStatusClass `json:"class,omitempty"`

	// namespaces are the tenant's namespaces, the usable ones first, at most 256.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Namespaces []TenantNamespace `json:"namespaces,omitempty"`

	// usableNamespaces is the number of namespaces in the state Usable.
	// +optional
	// +kubebuilder:validation:Minimum=0
	UsableNamespaces *int32 `json:"usableNamespaces,omitempty"`

	// database is the observed state of the tenant's database.
	// +optional
	Database *TenantDatabaseStatus `json:"database,omitempty"`

	// app is the observed state of the tenant's app.
	// +optional
	App *TenantAppStatus `json:"app,omitempty"`

	// objectKinds are the kinds of which the tenant has, or may have, objects from its class.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ObjectKinds []TenantObjectKind `json:"objectKinds,omitempty"`
	// hibernation says whether the tenant sleeps. It is absent if the spec has no hibernation and the tenant is awake.
	// +optional
	Hibernation *TenantHibernationStatus `json:"hibernation,omitempty"`

	// usage is how much of its quota the tenant uses.
	// +optional
	Usage *TenantUsage `json:"usage,omitempty"`
}

// Tenant is a customer or team: what it may use of the cluster and what it runs there.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=tn,categories=tenantry
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.status.class.name`
// +kubebuilder:printcolumn:name="Namespaces",type=integer,JSONPath=`.status.usableNamespaces`
// +kubebuilder:printcolumn:name="Database",type=string,JSONPath=`.status.conditions[?(@.type=="DatabaseReady")].reason`
// +kubebuilder:printcolumn:name="App",type=string,JSONPath=`.status.conditions[?(@.type=="AppReady")].reason`
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`,priority=1
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.status.database.server`,priority=1
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.status.app.image`,priority=1
// +kubebuilder:printcolumn:name="Hibernation",type=string,JSONPath=`.status.hibernation.state`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="the name of a Tenant is also the name of its namespace, so it must be a DNS label: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
// +kubebuilder:validation:XValidation:rule="!(self.metadata.name in ['default', 'tenantry-system', 'tenantry-databases']) && !self.metadata.name.startsWith('kube-')",message="this name belongs to a namespace of the cluster itself (default, kube-*, tenantry-system, tenantry-databases); choose another name for the Tenant"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.secretRefs) || self.spec.secretRefs.all(r, !has(r.__namespace__) || r.__namespace__ == self.metadata.name)",message="secretRefs names a Secret of a namespace that is not the tenant's; write the Secret into the tenant's primary namespace, and leave namespace out",fieldPath=".spec.secretRefs"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.server) || !has(oldSelf.spec.database) || has(self.spec.database) || has(self.spec.className) && self.spec.className.size() > 0 || !has(self.spec.className) && has(oldSelf.status.class)",message="the tenant has a database, which can't be taken away by leaving out spec.database; put it back, or delete the Tenant (reclaimPolicy says what becomes of the data)",fieldPath=".spec.database"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.server) || !has(self.spec.database) || !has(self.spec.database.serverRef) || self.spec.database.serverRef.name == oldSelf.status.database.server || has(oldSelf.spec.database) && has(oldSelf.spec.database.serverRef) && self.spec.database.serverRef.name == oldSelf.spec.database.serverRef.name",messageExpression="'the database is placed on the server ' + oldSelf.status.database.server + ' and can not move; write that name'",fieldPath=".spec.database.serverRef.name"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.server) || !has(self.spec.database) || !has(oldSelf.spec.database) || !has(self.spec.database.serverSelector) || !has(oldSelf.spec.database.serverSelector) || self.spec.database.serverSelector == oldSelf.spec.database.serverSelector",messageExpression="'the database is placed on the server ' + oldSelf.status.database.server + ' and can not move; put the selector back, or name that server in serverRef instead'",fieldPath=".spec.database.serverSelector"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.isolation) || !has(self.spec.database) || (has(self.spec.database.isolation) ? self.spec.database.isolation == oldSelf.status.database.isolation : oldSelf.status.database.isolation == 'Database' || has(self.spec.className) && self.spec.className.size() > 0 || !has(self.spec.className) && has(oldSelf.status.class)) || has(oldSelf.spec.database) && has(self.spec.database.isolation) == has(oldSelf.spec.database.isolation) && (!has(self.spec.database.isolation) || self.spec.database.isolation == oldSelf.spec.database.isolation)",messageExpression="'the database is placed with the isolation ' + oldSelf.status.database.isolation + ', which can not change; write that value'",fieldPath=".spec.database.isolation"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.server) || !has(self.spec.database) || !has(self.spec.database.adopt) || self.spec.database.adopt == oldSelf.status.database.name || has(oldSelf.spec.database) && has(oldSelf.spec.database.adopt) && self.spec.database.adopt == oldSelf.spec.database.adopt",messageExpression="'the tenant has its database ' + oldSelf.status.database.name + ' already and can not adopt another one; write that name, or leave adopt out'",fieldPath=".spec.database.adopt"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.storage) || !has(self.spec.database) || !has(self.spec.database.dedicated) || !has(oldSelf.spec.database) || !has(oldSelf.spec.database.dedicated) || !has(self.spec.database.dedicated.storage) || has(oldSelf.spec.database.dedicated.storage) && self.spec.database.dedicated.storage == oldSelf.spec.database.dedicated.storage || quantity(string(self.spec.database.dedicated.storage)).compareTo(quantity(string(oldSelf.status.database.storage))) >= 0",messageExpression="'the volume has ' + string(oldSelf.status.database.storage) + ' and can not shrink; write that or more'",fieldPath=".spec.database.dedicated.storage"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.version) || !has(self.spec.database) || !has(self.spec.database.dedicated) || !has(oldSelf.spec.database) || !has(oldSelf.spec.database.dedicated) || (has(self.spec.database.dedicated.version) ? (has(oldSelf.spec.database.dedicated.version) ? self.spec.database.dedicated.version == oldSelf.spec.database.dedicated.version : self.spec.database.dedicated.version == '18') || self.spec.database.dedicated.version.split('.')[0] == oldSelf.status.database.version.split('.')[0] : !has(oldSelf.spec.database.dedicated.version) || oldSelf.spec.database.dedicated.version == '18' || oldSelf.status.database.version.split('.')[0] == '18')",messageExpression="'the data is that of PostgreSQL ' + oldSelf.status.database.version + ', which another major version can not read; write ' + oldSelf.status.database.version.split('.')[0] + ' or a minor version of it'",fieldPath=".spec.database.dedicated.version"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.database) || !has(oldSelf.status.database.storage) || !has(self.spec.database) || !has(self.spec.database.dedicated) || !has(oldSelf.spec.database) || !has(oldSelf.spec.database.dedicated) || has(self.spec.database.dedicated.storageClassName) == has(oldSelf.spec.database.dedicated.storageClassName) && (!has(self.spec.database.dedicated.storageClassName) || self.spec.database.dedicated.storageClassName == oldSelf.spec.database.dedicated.storageClassName)",message="storageClassName is fixed once there is a database; put it back as it was",fieldPath=".spec.database.dedicated.storageClassName"
type Tenant struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata. The name is also the name of the tenant's namespace.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes what the tenant may use and what it runs.
	// +required
	Spec TenantSpec `json:"spec"` //nolint:kubeapilinter // An empty spec is a valid one, which Go must not leave out.

	// status is the observed state of the tenant.
	// +optional
	// +default={"observedGeneration": -1, "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "Waiting for the operator.", "lastTransitionTime": "1970-01-01T00:00:00Z"}]}
	Status TenantStatus `json:"status,omitzero"`
}

// TenantList is a list of Tenants.
// +kubebuilder:object:root=true
type TenantList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the Tenants.
	// +required
	Items []Tenant `json:"items"`
}
