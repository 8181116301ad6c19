/** A moment as people here write it, without the zone's name: 2026-11-20 23:48:05. */
export function localTime(moment: Date | null): string {
  if (moment === null) return '–'
  const two = (n: number) => String(n).padStart(2, '0')
  const date = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`
  return `${date} ${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`
}
