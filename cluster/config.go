package cluster

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that kubectl has
)

// Config returns how to reach a cluster, and the namespace to use where none is named, as kubectl finds them: in a file, or
// those that KUBECONFIG lists, or ~/.kube/config, or else as a Pod of the cluster. name is the context in the file; "" is the
// current one.
func Config(kubeconfig, name string) (config *rest.Config, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	load := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: name})
	if config, err = load.ClientConfig(); err != nil {
		return nil, "", fmt.Errorf("no Kubernetes cluster: %w", err)
	}
	if namespace, _, err = load.Namespace(); err != nil {
		return nil, "", fmt.Errorf("no Kubernetes cluster: %w", err)
	}
	config.UserAgent = "waymark"
	config.WarningHandler = rest.NoWarnings{} // they would go to the standard error past the log
	return config, namespace, nil
}
