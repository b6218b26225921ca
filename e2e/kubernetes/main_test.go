// Package kubernetes has the tests that need a Kubernetes API server. It is the real one, with etcd.
package kubernetes

import (
	"os"
	"testing"

	"waymark.dev/waymark/e2e/internal/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }
