package builtins

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/aws"
)

// kindVolume is the kind of refs to disks.
const kindVolume = "aws.Volume"

var volumeFunctions = []*function{
	builtin("cloud.aws.volumes", Read, volumesArgs{}, awsVolumes),
	builtin("cloud.aws.root_device", Read, rootDeviceArgs{}, awsRootDevice),
	builtin("cloud.aws.detach_volume", Write, detachVolumeArgs{}, awsDetachVolume),
	builtin("cloud.aws.attach_volume", Write, attachVolumeArgs{}, awsAttachVolume),
}

type volumesArgs struct {
	Instance string `star:"instance?"`
	IDs      names  `star:"ids??"`
	Region   string `star:"region?"`
}

func awsVolumes(c *call, a *volumesArgs) (starlark.Value, error) {
	if (a.Instance == "") == (len(a.IDs) == 0) {
		return nil, errors.New("want exactly one of instance and ids")
	}
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	if err := c.settledVolumes(); err != nil {
		return nil, err
	}
	found, err := client.VolumesOf(c.ctx, a.Region, a.Instance, a.IDs)
	if err != nil {
		return nil, err
	}
	volumes := []any{}
	for _, v := range found {
		attachments := []any{}
		for _, x := range v.Attachments {
			attachments = append(attachments, map[string]any{"instance": x.Instance, "device": x.Device, "state": x.State, "delete_on_termination": x.DeleteOnTermination})
		}
		volumes = append(volumes, map[string]any{"id": v.ID, "state": v.State, "attachments": attachments})
	}
	return toStarlark(volumes)
}

// settledVolumes waits until no request of a killed process can change a volume any more.
func (c *call) settledVolumes() error {
	_, err := c.settle(c.ctx, func(r Ref) bool { return r.Kind == kindVolume }, false)
	return err
}

type rootDeviceArgs struct {
	Instance string `star:"instance"`
	Region   string `star:"region?"`
}

func awsRootDevice(c *call, a *rootDeviceArgs) (starlark.Value, error) {
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	device, err := client.RootDevice(c.ctx, a.Region, a.Instance)
	return starlark.String(device), err
}

type detachVolumeArgs struct {
	Volume   string `star:"volume"`
	Instance string `star:"instance"`
	Region   string `star:"region?"`
}

func awsDetachVolume(c *call, a *detachVolumeArgs) (starlark.Value, error) {
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	return starlark.None, c.changeCloud(c.ctx, "detach", Ref{Kind: kindVolume, Name: a.Volume}, func() error {
		return client.DetachVolume(c.ctx, a.Region, a.Volume, a.Instance)
	})
}

type attachVolumeArgs struct {
	Volume              string `star:"volume"`
	Instance            string `star:"instance"`
	Device              string `star:"device"`
	DeleteOnTermination bool   `star:"delete_on_termination"`
	Region              string `star:"region?"`
}

// awsAttachVolume reads the volume first. If it is attached as wanted, it uses up no rollback.
func awsAttachVolume(c *call, a *attachVolumeArgs) (starlark.Value, error) {
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	if err := c.settledVolumes(); err != nil {
		return nil, err
	}
	r := Ref{Kind: kindVolume, Name: a.Volume}
	found, err := client.VolumesOf(c.ctx, a.Region, "", []string{a.Volume})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &ConflictError{Message: fmt.Sprintf("%s is not there any more", r.Text())}
	}
	var there *aws.Attachment
	for _, x := range found[0].Attachments {
		if x.Instance == a.Instance && x.Device == a.Device {
			there = &x
			continue
		}
		return nil, &ConflictError{Message: fmt.Sprintf("%s is attached to instance %q at %q, not to %q at %q: somebody else changed it, and it was left alone", r.Text(), x.Instance, x.Device, a.Instance, a.Device)}
	}
	if there != nil && there.State == aws.Attached && there.DeleteOnTermination == a.DeleteOnTermination {
		return starlark.False, nil
	}
	return starlark.True, c.changeCloud(c.ctx, "attach", r, func() error {
		if there == nil {
			if err := client.AttachVolume(c.ctx, a.Region, a.Volume, a.Instance, a.Device); err != nil {
				return err
			}
		}
		if !a.DeleteOnTermination && (there == nil || !there.DeleteOnTermination) {
			return nil // the default of EC2 for an attachment
		}
		return client.EndWithInstance(c.ctx, a.Region, a.Instance, a.Device, a.DeleteOnTermination)
	})
}
