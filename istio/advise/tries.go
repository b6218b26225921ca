package advise

import (
	"time"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// checkTries warns of retries that never happen, and of a timeout that does not leave time for them.
func checkTries(findings *diag.Findings, vs *resource.VirtualService, field string, r *istio.HTTPRoute) {
	retries := r.GetRetries()
	attempts := time.Duration(retries.GetAttempts())
	if attempts <= 0 {
		return
	}
	if abort := r.GetFault().GetAbort(); abort.GetErrorType() != nil && abort.GetPercentage().GetValue() >= 100 {
		findings.Add(diag.Warning, CodeHiddenRetries, vs.Object, field+".retries",
			"there is nothing to retry: fault.abort answers every request before it is sent, and the proxy does not retry its own answer")
		return
	}
	if r.GetTimeout() == nil || retries.GetPerTryTimeout() == nil {
		return
	}
	timeout, try := r.GetTimeout().AsDuration(), retries.GetPerTryTimeout().AsDuration()
	switch {
	case timeout <= 0 || try <= 0:
	case timeout < try:
		findings.Add(diag.Warning, CodeShortTimeout, vs.Object, field+".timeout",
			"%s is shorter than retries.perTryTimeout, %s, which has no effect: the first slow try uses up the time of all", timeout, try)
	case timeout/attempts < try: // like timeout < attempts * try, which may overflow
		findings.Add(diag.Warning, CodeShortTimeout, vs.Object, field+".timeout",
			"%s is used up by %s that take the perTryTimeout of %s; of %s, the others are never sent",
			timeout, diag.Count(int((timeout+try-1)/try), "try", "tries"), try, diag.Count(int(attempts), "retry", "retries"))
	}
}
