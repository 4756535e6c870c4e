# Read by every interactive bash, from /etc/bash.bashrc. Homes outlive images and hold Debian's ~/.bashrc, which sets a
# prompt and a title with `\u@\h`: NB_USER, who is the same for everybody, at the container's id. Each prompt shows the
# hub's user there. A prompt that somebody wrote stays as it is. The name is a variable in the prompt: bash shows its
# value and runs nothing in it.
__show_user() {
    PS1=${PS1//'\u@\h'/'${JUPYTERHUB_USER:-\u}'}
}
PROMPT_COMMAND="__show_user${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
