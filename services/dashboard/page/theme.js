// Light or dark: as the system, or as chosen here.
const CHOICES = ['system', 'light', 'dark'];

function apply(choice) {
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  document.getElementById('theme-button').textContent = `Theme: ${choice}`;
}

export function setUpTheme() {
  let choice = localStorage.getItem('mdgen-theme');
  if (!CHOICES.includes(choice)) choice = 'system';
  apply(choice);
  document.getElementById('theme-button').addEventListener('click', () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    localStorage.setItem('mdgen-theme', choice);
    apply(choice);
  });
}
