package dedicated

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

const (
	container = "postgres"
	// user is PostgreSQL's user in its images.
	user = 999

	volumeMount      = "/var/lib/postgresql/data"
	dataDirectory    = volumeMount + "/pgdata"
	superuserMount   = "/etc/tenantry/superuser"
	certificateMount = "/etc/tenantry/certificate"
	configMount      = "/etc/tenantry/config"
	socketMount      = "/var/run/postgresql"

	hbaFile = "pg_hba.conf"
	// hba allows clients with a password over TLS, and the system user postgres inside the pod.
	hba         = "local all all peer\nhostssl all all all scram-sha-256\n" //nolint:dupword // These are columns.
	prepareFile = "prepare.sh"
	// prepare creates the data directory completely or not at all, and gives the superuser the current password in
	// the Secret. The script itself contains no password.
	prepare = `set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.new"
  initdb --pgdata="$PGDATA.new" --username=postgres --auth=reject --encoding=UTF8 --locale=C.UTF-8 --data-checksums
  mv "$PGDATA.new" "$PGDATA"
fi
chmod 0700 "$PGDATA"
postgres --single -D "$PGDATA" postgres <"` + superuserMount + "/" + keyLogin + `" >/dev/null
`

	// terminationSeconds is how long the server may take to write a checkpoint before it is killed.
	terminationSeconds = 120
)

// configuration returns the ConfigMap with the server's configuration files, which aren't secret.
func configuration(in Inputs) desired.Object {
	return &corev1.ConfigMap{
		ObjectMeta: meta(in.Server, in.Server.Name),
		Data:       map[string]string{hbaFile: hba, prepareFile: prepare},
	}
}

func clusterService(in Inputs) desired.Object {
	return &corev1.Service{
		ObjectMeta: meta(in.Server, naming.ServerService(in.Server.Name)),
		Spec: corev1.ServiceSpec{
			Selector: podLabels(in.Server),
			Ports: []corev1.ServicePort{{
				Name: container, Protocol: corev1.ProtocolTCP, Port: in.Server.Spec.Port, TargetPort: intstr.FromString(container),
			}},
		},
	}
}

// statefulSet runs one instance. Its claim isn't from a template, because it could not grow then. The pod
// management policy is Parallel: with OrderedReady, a pod that can't start would never be replaced
// (https://github.com/kubernetes/kubernetes/issues/67250).
func statefulSet(in Inputs) desired.Object {
	server := in.Server
	metadata := meta(server, server.Name)
	return &appsv1.StatefulSet{
		ObjectMeta: metadata,
		Spec: appsv1.StatefulSetSpec{
			Replicas:            new(instances(server)),
			ServiceName:         naming.ServerService(server.Name),
			PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector:            &metav1.LabelSelector{MatchLabels: podLabels(server)},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels: metadata.Labels, Annotations: map[string]string{naming.AnnotationSecrets: in.Secrets.revision()},
				},
				Spec: podSpec(in),
			},
		},
	}
}

// instances returns how many instances a StatefulSet runs.
func instances(server *v1alpha1.DatabaseServer) int32 {
	if server.Spec.Dedicated.Suspended {
		return 0
	}
	return 1
}

// podSpec meets the Pod Security Standard Restricted
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted).
func podSpec(in Inputs) corev1.PodSpec {
	return corev1.PodSpec{
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(terminationSeconds)),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(user)), RunAsGroup: new(int64(user)), FSGroup: new(int64(user)),
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		InitContainers: []corev1.Container{program(in, "prepare", "sh", configMount+"/"+prepareFile)},
		Containers:     []corev1.Container{serving(program(in, container, "postgres", settings(in)...), in.Server.Spec.Port)},
		Volumes:        volumes(in),
	}
}

// program returns a container with the image, and with the server's volumes and environment.
func program(in Inputs, name, command string, args ...string) corev1.Container {
	spec := in.Server.Spec.Dedicated
	return corev1.Container{
		Name:      name,
		Image:     cmp.Or(spec.Image, "docker.io/library/postgres:"+spec.Version),
		Command:   []string{command},
		Args:      args,
		Env:       []corev1.EnvVar{{Name: "PGDATA", Value: dataDirectory}},
		Resources: spec.Resources,
		// What it has logged last is then in the pod's status, for the tenant, who can't read the logs.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "data", MountPath: volumeMount},
			{Name: "superuser", MountPath: superuserMount, ReadOnly: true},
			{Name: "certificate", MountPath: certificateMount, ReadOnly: true},
			{Name: "config", MountPath: configMount, ReadOnly: true},
			{Name: "socket", MountPath: socketMount},
			{Name: "temporary", MountPath: "/tmp"},
			{Name: "shared-memory", MountPath: "/dev/shm"},
		},
	}
}

func settings(in Inputs) []string {
	var args []string
	for _, setting := range []string{
		"listen_addresses=*",
		fmt.Sprintf("port=%d", in.Server.Spec.Port),
		"unix_socket_directories=" + socketMount,
		"hba_file=" + configMount + "/" + hbaFile,
		"password_encryption=scram-sha-256",
		fmt.Sprintf("max_connections=%d", in.Server.Spec.Dedicated.MaxConnections),
		"ssl=on",
		"ssl_cert_file=" + certificateMount + "/" + corev1.TLSCertKey,
		"ssl_key_file=" + certificateMount + "/" + corev1.TLSPrivateKeyKey,
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// serving adds what the server's container has and the init container doesn't. It stops the server with a fast
// shutdown: a smart one, which SIGTERM requests, would wait for the tenant to disconnect.
func serving(container corev1.Container, port int32) corev1.Container {
	ready := func(period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{
				Command: []string{"pg_isready", "--host=127.0.0.1", fmt.Sprintf("--port=%d", port), "--username=" + superuserRole},
			}},
			PeriodSeconds: period, FailureThreshold: failures, TimeoutSeconds: 5,
		}
	}
	container.Ports = []corev1.ContainerPort{{Name: container.Name, ContainerPort: port, Protocol: corev1.ProtocolTCP}}
	// The recovery after a crash may take long.
	container.StartupProbe = ready(5, 360)
	container.ReadinessProbe = ready(5, 3)
	container.LivenessProbe = ready(10, 12)
	container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{
		Command: []string{"pg_ctl", "stop", "--mode=fast", fmt.Sprintf("--timeout=%d", terminationSeconds)},
	}}}
	return container
}

func volumes(in Inputs) []corev1.Volume {
	name := in.Server.Name
	secret := func(volume, name string) corev1.Volume {
		return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			// PostgreSQL accepts a key that belongs to root if at most its group may read it.
			SecretName: name, DefaultMode: new(int32(0o640)),
		}}}
	}
	empty := func(volume string, source corev1.EmptyDirVolumeSource) corev1.Volume {
		return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{EmptyDir: &source}}
	}
	return []corev1.Volume{
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: naming.ServerVolume(name)}}},
		secret("superuser", naming.ServerSuperuser(name)),
		secret("certificate", naming.ServerCertificate(name)),
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}},
		empty("socket", corev1.EmptyDirVolumeSource{}),
		empty("temporary", corev1.EmptyDirVolumeSource{}),
		// Parallel queries need more shared memory than the 64 MB that containers have.
		empty("shared-memory", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("256Mi"))}),
	}
}
