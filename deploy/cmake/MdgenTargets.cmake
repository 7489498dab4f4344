# One target per folder. Sources include by path from the repository's root ("core/base/rng.h"), but a target sees only
# its own folder and those of the targets that it names in DEPS: each target's include folder is a folder in the build
# tree that holds a link to its source folder alone. So an include against the direction of the arrows does not compile.

# mdgen_library(NAME SOURCES a.cpp … [DEPS target …] [LIBS library …] [TORCH])
#   NAME    the target is mdgen_NAME
#   DEPS    other folders' NAMEs, seen by whoever uses this target
#   LIBS    outside libraries
#   TORCH   links LibTorch and uses the shared precompiled header
function(mdgen_library name)
  cmake_parse_arguments(arg "TORCH;HEADER_ONLY" "" "SOURCES;DEPS;LIBS" ${ARGN})
  file(RELATIVE_PATH folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(visible "${PROJECT_BINARY_DIR}/include/${name}")
  get_filename_component(parent "${visible}/${folder}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${visible}/${folder}" SYMBOLIC)
  list(TRANSFORM arg_DEPS PREPEND mdgen_)
  if(arg_HEADER_ONLY)
    add_library(mdgen_${name} INTERFACE)
    target_include_directories(mdgen_${name} INTERFACE "${visible}")
    target_link_libraries(mdgen_${name} INTERFACE ${arg_DEPS} ${arg_LIBS})
    return()
  endif()
  add_library(mdgen_${name} STATIC ${arg_SOURCES})
  target_include_directories(mdgen_${name} PUBLIC "${visible}")
  target_link_libraries(mdgen_${name} PUBLIC ${arg_DEPS} ${arg_LIBS} PRIVATE mdgen_warnings)
  if(arg_TORCH)
    target_link_libraries(mdgen_${name} PUBLIC LibTorch::cpu)
    mdgen_use_torch_header(mdgen_${name})
  endif()
endfunction()

# mdgen_program(NAME SOURCES main.cpp DEPS … [LIBS …] [TORCH]): an executable in <build>/bin.
function(mdgen_program name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;DEPS;LIBS" ${ARGN})
  list(TRANSFORM arg_DEPS PREPEND mdgen_)
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} ${arg_LIBS} mdgen_warnings)
  if(arg_TORCH)
    target_link_libraries(${name} PRIVATE LibTorch::cpu)
    mdgen_use_torch_header(${name})
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()

# mdgen_test(NAME SOURCES … DEPS … [LIBS …] [TORCH] [LABELS …] [ENVIRONMENT …]
#   [RESOURCE_LOCK name] [TIMEOUT s]): a GoogleTest binary; each test is a CTest test.
# Its sources see tests/support through "tests/support/…".
function(mdgen_test name)
  cmake_parse_arguments(arg "TORCH" "TIMEOUT;RESOURCE_LOCK" "SOURCES;DEPS;LIBS;LABELS;ENVIRONMENT" ${ARGN})
  list(TRANSFORM arg_DEPS PREPEND mdgen_)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} ${arg_LIBS} mdgen_test_support GTest::gmock GTest::gtest_main
                                        mdgen_warnings)
  target_compile_definitions(${name} PRIVATE MDGEN_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             MDGEN_BIN_DIR="${PROJECT_BINARY_DIR}/bin")
  if(arg_TORCH)
    target_link_libraries(${name} PRIVATE LibTorch::cpu)
    mdgen_use_torch_header(${name})
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  set(properties TIMEOUT ${arg_TIMEOUT})
  foreach(property LABELS ENVIRONMENT RESOURCE_LOCK)
    if(arg_${property})
      list(APPEND properties ${property} "${arg_${property}}")
    endif()
  endforeach()
  gtest_discover_tests(
    ${name}
    TEST_PREFIX "${name}."
    DISCOVERY_TIMEOUT 120
    DISCOVERY_MODE PRE_TEST
    NO_PRETTY_VALUES
    PROPERTIES ${properties})
endfunction()

# One precompiled <torch/torch.h> for every target that uses LibTorch (20 s a file without it).
function(mdgen_use_torch_header target)
  if(NOT TARGET mdgen_torch_header)
    return()
  endif()
  target_precompile_headers(${target} REUSE_FROM mdgen_torch_header)
endfunction()

# mdgen_pytest(NAME FILE test_x.py [TIMEOUT s] [LABELS …] [RESOURCE_LOCK name] [LONG s]): a pytest file, run by the
# oracles' Python (deploy/bootstrap --tests). With LONG its tests that are marked `long` are a CTest test of their own,
# NAME.long with the label long, which may take so many seconds and runs in `make test-long` alone. It finds the programs in $MDGEN_BIN_DIR, the sources in $MDGEN_SOURCE_DIR and the
# demo's trajectory in $MDGEN_ADK_DIR.
function(mdgen_pytest name)
  cmake_parse_arguments(arg "" "FILE;TIMEOUT;RESOURCE_LOCK;LONG" "LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(pytest "${MDGEN_CACHE}/oracles/bin/python" -m pytest -q -p no:cacheprovider -rs --strict-markers
             -o "markers=long: waits longer than make test may")
  add_test(NAME ${name} COMMAND ${pytest} -m "not long" "${CMAKE_CURRENT_SOURCE_DIR}/${arg_FILE}")
  set(names ${name})
  if(arg_LONG)
    add_test(NAME ${name}.long COMMAND ${pytest} -m long "${CMAKE_CURRENT_SOURCE_DIR}/${arg_FILE}")
    list(APPEND names ${name}.long)
  endif()
  set(environment
      PYTHONDONTWRITEBYTECODE=1 "PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support" "MDGEN_BIN_DIR=${PROJECT_BINARY_DIR}/bin"
      "MDGEN_SOURCE_DIR=${PROJECT_SOURCE_DIR}" "MDGEN_ADK_DIR=${MDGEN_CACHE}/adk" OMPI_ALLOW_RUN_AS_ROOT=1
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1)
  set_tests_properties(${names} PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${environment}")
  foreach(property LABELS RESOURCE_LOCK)
    if(arg_${property})
      set_tests_properties(${names} PROPERTIES ${property} "${arg_${property}}")
    endif()
  endforeach()
  if(arg_LONG)
    set_tests_properties(${name}.long PROPERTIES TIMEOUT ${arg_LONG} LABELS long)
  endif()
endfunction()
