/** The agents and skills that the devices of a mesh announce. Believes what a device says of itself and of nobody else; registers nothing. Pure. */
import type { OfferedView } from '../../protocols/local/messages.ts'
import type { Membership } from '../../protocols/member/messages.ts'
import type { Directory } from '../registry/directory.ts'

export function offeredIn(
  directory: Pick<Directory, 'members' | 'announcementOf'>,
  what: 'agents' | 'skills',
  isOnline: (member: Membership) => boolean,
): OfferedView[] {
  return directory.members().flatMap((member) => {
    const offers = directory.announcementOf(member.device)?.said[what] ?? []
    return offers.map(({ id, description }) => ({ id, device: member.name, online: isOnline(member), description }))
  })
}
