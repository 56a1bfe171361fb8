/** Accelerators of a type, by the words of InstanceRequirements, from the facts that DescribeInstanceTypes shows. */
import type { InstanceTypeInfo } from "@aws-sdk/client-ec2"

export interface Accelerator {
  readonly type: "gpu" | "fpga" | "inference" | "media"
  /** Undefined for one that the request has no word for. */
  readonly manufacturer: string | undefined
  /** "A10G" is a10g, "Radeon Pro V520" radeon-pro-v520. */
  readonly name: string
  readonly count: number
  /** Of all of them. */
  readonly memoryMiB: number
}

const manufacturers: Readonly<Record<string, string>> = {
  AMD: "amd",
  AWS: "amazon-web-services",
  Habana: "habana",
  NVIDIA: "nvidia",
  Xilinx: "xilinx",
}

interface Device {
  readonly Name?: string | undefined
  readonly Manufacturer?: string | undefined
  readonly Count?: number | undefined
  readonly MemoryInfo?: { readonly SizeInMiB?: number | undefined } | undefined
}

export function acceleratorsOf(info: InstanceTypeInfo): readonly Accelerator[] {
  const of = (type: Accelerator["type"], devices: readonly Device[] = []) =>
    devices.map(({ Name = "", Manufacturer = "", Count = 0, MemoryInfo }) => ({
      type,
      manufacturer: manufacturers[Manufacturer],
      name: Name.toLowerCase().replaceAll(" ", "-"),
      count: Count,
      memoryMiB: Count * (MemoryInfo?.SizeInMiB ?? 0),
    }))
  const inference = of("inference", info.InferenceAcceleratorInfo?.Accelerators)
  // Inferentia stands in both lists, Trainium among Neuron's alone.
  const neuron = of(
    "inference",
    info.NeuronInfo?.NeuronDevices?.map((device) => ({ ...device, Manufacturer: "AWS" })),
  ).filter(({ name }) => !inference.some((known) => known.name === name))
  return [
    ...of("gpu", info.GpuInfo?.Gpus),
    ...of("fpga", info.FpgaInfo?.Fpgas),
    ...inference,
    ...neuron,
    ...of("media", info.MediaAcceleratorInfo?.Accelerators),
  ]
}
