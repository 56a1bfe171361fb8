import { readStatus } from "../daemon/api.ts"
import { requireDaemon } from "../daemon/require.ts"
import { notYet } from "../failure.ts"
import { existingHome, homeFolder, makeHome } from "../home.ts"
import { print, printJson, table } from "../terminal.ts"
import { buildFirstImage, checkDisk, checkPrivileges } from "../up/prepare.ts"

type Options = { home?: string; json?: boolean }

/** `fractus image list`: the images that this home serves. */
export const listImages = async (options: Options): Promise<void> => {
  const { images } = await readStatus(requireDaemon(existingHome(options.home)).endpoint)
  if (options.json === true) printJson({ images })
  else print(table(images.map(({ id, name, state }) => [id, name, state])))
}

/** `fractus image build [NAME]`: builds the machine image into the home, as `up` does. */
export const buildImageOf = async (name: string, options: Options): Promise<void> => {
  if (name !== "fractus-micro") throw notYet(`the image ${name} (there is: fractus-micro)`)
  const home = homeFolder(options.home)
  checkPrivileges(home)
  makeHome(home)
  checkDisk(home)
  const image = await buildFirstImage(home)
  if (options.json === true) printJson({ id: image.id, name: image.name })
  else print(table([[image.id, image.name]]))
}

/** `fractus image remove ID`. */
export const removeImage = (id: string): never => {
  throw notYet(`removing an image (${id})`)
}
