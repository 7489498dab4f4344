# cmake --install build --prefix /usr/local: programs, plug-ins, units, examples, documentation, completions.
#
# Programs keep finding LibTorch and chemfiles where they were linked from (INSTALL_RPATH_USE_LINK_PATH), so build with
# MDGEN_CACHE=/opt/mdgen, or another folder that every user of the programs can read, for more than one's own use.
include(GNUInstallDirs)

set(_programs mdgen-coordinator mdgen-worker mdgenctl mdgen-launch mdgen-prep)
if(MDGEN_TORCH)
  list(APPEND _programs mdgen-trainer mdgen-sample mdgen-parity mdgen-mpi-host)
endif()
foreach(_program IN LISTS _programs)
  set_target_properties(${_program} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endforeach()
install(TARGETS ${_programs} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(MDGEN_TORCH)
  set_target_properties(mdgen_nccl mdgen_mpi PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS mdgen_nccl mdgen_mpi LIBRARY DESTINATION lib/mdgen)
endif()

# Not FILES: their paths are known when the prefix is.
set(_units mdgen-coordinator.service mdgen-worker@.service)
foreach(_unit IN LISTS _units)
  install(
    CODE "
    set(MDGEN_BIN \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    set(MDGEN_SHARE \"\${CMAKE_INSTALL_PREFIX}/share/mdgen\")
    set(MDGEN_DOC \"\${CMAKE_INSTALL_PREFIX}/share/doc/mdgen\")
    set(_to \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${_unit}\")
    message(STATUS \"Installing: \${_to}\")
    configure_file(\"${PROJECT_SOURCE_DIR}/deploy/systemd/${_unit}.in\" \"\${_to}\" @ONLY)")
endforeach()
install(FILES deploy/systemd/mdgen.sysusers.conf DESTINATION lib/sysusers.d RENAME mdgen.conf)
install(FILES deploy/systemd/mdgen.tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME mdgen.conf)

install(FILES deploy/systemd/coordinator.env deploy/systemd/worker.env DESTINATION share/mdgen)
install(DIRECTORY configs deploy/slurm deploy/kubernetes deploy/logrotate DESTINATION share/mdgen)
foreach(_folder prometheus grafana)
  if(EXISTS "${PROJECT_SOURCE_DIR}/deploy/${_folder}")
    install(DIRECTORY deploy/${_folder} DESTINATION share/mdgen)
  endif()
endforeach()
install(FILES README.md CHANGELOG.md LICENSE DESTINATION share/doc/mdgen)
install(DIRECTORY docs/ DESTINATION share/doc/mdgen)

# Written by the program itself.
foreach(_completion bash=share/bash-completion/completions/mdgenctl zsh=share/zsh/site-functions/_mdgenctl
        fish=share/fish/vendor_completions.d/mdgenctl.fish)
  string(REPLACE "=" ";" _pair "${_completion}")
  list(GET _pair 0 _shell)
  list(GET _pair 1 _path)
  install(
    CODE "
    set(_to \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${_path}\")
    execute_process(COMMAND \"${PROJECT_BINARY_DIR}/bin/mdgenctl\" completion ${_shell}
      OUTPUT_VARIABLE _text ERROR_QUIET RESULT_VARIABLE _status)
    if(_status EQUAL 0)
      message(STATUS \"Installing: \${_to}\")
      file(WRITE \"\${_to}\" \"\${_text}\")
    else()
      message(STATUS \"Not installed: \${_to} (mdgenctl completion ${_shell}: \${_status})\")
    endif()")
endforeach()
