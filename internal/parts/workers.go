package parts

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// workers returns the Deployments of the programs that run beside the app.
func workers(in Inputs) []desired.Object {
	if !connected(in) {
		return nil
	}
	var deployments []desired.Object
	for _, worker := range in.Tenant.Spec.App.Workers {
		deployments = append(deployments, workerDeployment(in, worker))
	}
	return deployments
}

func working(tenant string, worker v1alpha1.AppWorker) program {
	return program{
		name:      string(worker.Name),
		labels:    naming.ComponentLabels(tenant, naming.ComponentWorker, string(worker.Name)),
		command:   worker.Command,
		args:      worker.Args,
		resources: worker.Resources,
		liveness:  worker.LivenessProbe,
		readiness: worker.ReadinessProbe,
		startup:   worker.StartupProbe,
		goesOn:    true,
	}
}

func workerDeployment(in Inputs, worker v1alpha1.AppWorker) *appsv1.Deployment {
	of := working(in.Tenant.Name, worker)
	result := &appsv1.Deployment{
		ObjectMeta: meta(in.Tenant, of.name),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: of.labels},
			Template: podTemplate(in, of),
		},
	}
	in.setReplicas(workerReplicas(worker), result)
	return result
}
