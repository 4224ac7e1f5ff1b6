package effective

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// MissingError means that the effective spec lacks something that is required.
type MissingError struct {
	// Message is a sentence that says what is missing and what to write.
	Message string
}

func (e *MissingError) Error() string { return e.Message }

// MissingForDatabase returns a *MissingError if the spec asks for a database and lacks something that is required
// for it.
func (s *Spec) MissingForDatabase() error {
	database := s.Database
	switch {
	case database == nil:
		return nil
	case database.Isolation == v1alpha1.DatabaseIsolationDedicated:
		if database.Dedicated == nil || database.Dedicated.Storage == nil {
			return &MissingError{"The tenant's own database server needs a size; write one such as 10Gi in spec.database.dedicated.storage."}
		}
	case database.ServerRef.Name == "" && database.ServerSelector == nil:
		return &MissingError{"The database needs a server; name one in spec.database.serverRef, or write in spec.database.serverSelector which labels it must have."}
	}
	return nil
}

// MissingForApp returns a *MissingError if the spec asks for an app and lacks something that is required for it.
func (s *Spec) MissingForApp() error {
	switch {
	case s.App == nil:
		return nil
	case s.App.Image == "":
		return &MissingError{"The app needs an image; write one such as registry.example/shop:1 in spec.app.image."}
	case s.App.Autoscaling != nil && s.App.Autoscaling.MaxReplicas == 0:
		return &MissingError{"The autoscaling of the app needs the highest number of pods; write it in spec.app.autoscaling.maxReplicas."}
	}
	if err := missingForWorkers(s.App.Workers); err != nil {
		return err
	}
	for _, schedule := range s.App.Schedules {
		if schedule.Schedule == "" || len(schedule.Command)+len(schedule.Args) == 0 {
			return &MissingError{fmt.Sprintf("The schedule %[1]s needs the times at which it runs, and a program; write schedule, and command or args, in spec.app.schedules[%[1]s].", schedule.Name)}
		}
	}
	if migration := s.App.Migration; migration != nil && len(migration.Command)+len(migration.Args) == 0 {
		return &MissingError{"The migration needs a program; write command or args in spec.app.migration."}
	}
	return missingForPods(&s.App.AppPods)
}

func missingForWorkers(workers []v1alpha1.AppWorker) error {
	for _, worker := range workers {
		if len(worker.Command)+len(worker.Args) == 0 {
			return &MissingError{fmt.Sprintf("The worker %[1]s needs a program that differs from the app's; write command or args in spec.app.workers[%[1]s].", worker.Name)}
		}
		if worker.Autoscaling != nil && worker.Autoscaling.MaxReplicas == 0 {
			return &MissingError{fmt.Sprintf("The autoscaling of the worker %[1]s needs the highest number of pods; write it in spec.app.workers[%[1]s].autoscaling.maxReplicas.", worker.Name)}
		}
	}
	return nil
}

// missingForPods says what is wrong with the further containers of an app, which the API server would say of the
// Deployment only.
func missingForPods(pods *v1alpha1.AppPods) error {
	volumes, names := sets.New[string](), sets.New[string]()
	for _, volume := range pods.Volumes {
		volumes.Insert(volume.Name)
	}
	containers := slices.Clone(pods.InitContainers)
	for _, sidecar := range pods.Sidecars {
		containers = append(containers, sidecar.AppContainer)
	}
	for _, container := range containers {
		if names.Has(container.Name) {
			return &MissingError{fmt.Sprintf("The sidecar %s needs a name of its own, since an init container has it; write another one in spec.app.sidecars or spec.app.initContainers.", container.Name)}
		}
		names.Insert(container.Name)
		for _, mount := range container.VolumeMounts {
			if !volumes.Has(mount.Name) {
				return &MissingError{fmt.Sprintf("The container %s mounts the volume %s, which is not there; add it to spec.app.volumes.", container.Name, mount.Name)}
			}
		}
	}
	return nil
}
