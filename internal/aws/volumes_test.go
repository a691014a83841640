package aws

import (
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestVolumes(t *testing.T) {
	ec2, c := open(t)
	ec2.AddInstance("i-1", "running")
	ec2.AddVolume("vol-root", "i-1", "/dev/xvda", true)
	ec2.AddVolume("vol-1", "i-1", "/dev/sdf", true)
	ec2.AddVolume("vol-2", "", "", false)
	if root, err := c.RootDevice(t.Context(), "", "i-1"); root != "/dev/xvda" || err != nil {
		t.Errorf("root device: got %q, %v", root, err)
	}
	volumes, err := c.VolumesOf(t.Context(), "", "i-1", nil)
	if err != nil || len(volumes) != 2 || volumes[0].ID != "vol-1" {
		t.Errorf("got %+v, %v, want vol-1 and vol-root", volumes, err)
	}

	// Answers are lost, and what was changed shows late: the second request is refused for what the
	// first has done.
	ec2.Fault("DetachVolume", sandboxtest.DropAnswer)
	if err := c.DetachVolume(t.Context(), "", "vol-1", "i-1"); err != nil || ec2.Volume("vol-1") != "" {
		t.Errorf("detach: %v, it is at %q", err, ec2.Volume("vol-1"))
	}
	ec2.Fault("AttachVolume", sandboxtest.DropAnswer)
	if err := c.AttachVolume(t.Context(), "", "vol-1", "i-1", "/dev/sdf"); err != nil || ec2.Volume("vol-1") != "i-1 /dev/sdf false" {
		t.Errorf("attach: %v, it is at %q", err, ec2.Volume("vol-1"))
	}
	if err := c.EndWithInstance(t.Context(), "", "i-1", "/dev/sdf", true); err != nil || ec2.Volume("vol-1") != "i-1 /dev/sdf true" {
		t.Errorf("end with the instance: %v, it is at %q", err, ec2.Volume("vol-1"))
	}

	// One that is not there is no volume that is detached.
	if err := c.DetachVolume(t.Context(), "", "vol-3", "i-1"); err == nil || !strings.Contains(err.Error(), "vol-3") {
		t.Errorf("detach of a volume that is not there: got %v", err)
	}
	ec2.Fault("DescribeVolumes", says(`<?xml version="1.0"?><DescribeVolumesResponse><volumeSet><item><volumeId>vol-9</volumeId><status>available</status></item></volumeSet></DescribeVolumesResponse>`))
	if volumes, err := c.VolumesOf(t.Context(), "", "", []string{"vol-1"}); err == nil || !strings.Contains(err.Error(), "vol-9") {
		t.Errorf("an answer about another volume: got %+v, %v", volumes, err)
	}
}
