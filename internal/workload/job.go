package workload

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Finish is how a Job has finished.
type Finish struct {
	// Failed says that it has failed; otherwise it is complete.
	Failed bool
	// At is when it has finished.
	At time.Time
	// Reason and Message are the Job controller's.
	Reason, Message string
}

// FinishOf returns how a Job has finished; false if it has not.
func FinishOf(job *batchv1.Job) (Finish, bool) {
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobFailed || condition.Type == batchv1.JobComplete) {
			return Finish{
				Failed: condition.Type == batchv1.JobFailed, At: condition.LastTransitionTime.Time,
				Reason: condition.Reason, Message: condition.Message,
			}, true
		}
	}
	return Finish{}, false
}

// Completed reports whether a Job has finished, and not failed.
func Completed(job *batchv1.Job) bool {
	finish, finished := FinishOf(job)
	return finished && !finish.Failed
}

// PodsOf returns the pods of a Job.
func PodsOf(job *batchv1.Job, pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool {
		return pod.Labels[batchv1.JobNameLabel] != job.Name || pod.Namespace != job.Namespace
	})
}

// WhyFailed returns why a Job has failed: how the container of its newest pod has ended, with its last words, or else
// what the Job controller says.
func WhyFailed(job *batchv1.Job, pods []corev1.Pod) string {
	finish, _ := FinishOf(job)
	said := cmp.Or(finish.Message, finish.Reason)
	pods = PodsOf(job, pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for i := range pods {
		ended := lastEnd(&pods[i])
		switch {
		case ended == nil || ended.terminated.ExitCode == 0:
		case finish.Reason == batchv1.JobReasonBackoffLimitExceeded || said == "":
			return ended.String()
		default:
			return fmt.Sprintf("%s; %s", said, ended)
		}
	}
	return said
}

// Pending returns the pods of a Job that have not ended.
func Pending(job *batchv1.Job, pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(PodsOf(job, pods), func(pod corev1.Pod) bool { return Ended(&pod) })
}

// Begun reports whether a container of a pod has started. The cache has no status of pods with which nothing is wrong.
func Begun(pod *corev1.Pod) bool { return pod.Status.Phase != corev1.PodPending && !Ended(pod) }

// Ended reports whether all containers of a pod have ended for good.
func Ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
