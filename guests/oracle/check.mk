# QEMU's TCG as the oracle: `make check-qemu` for all, check-sbe-NAME, check-boot-NAME or check-faults-NAME
# for one guest, `make check-grub` for the two that only GRUB boots.
# One thread for all processors: 7.2 loses code patches between threads, see sbe/cross_cpu_code.c.
CPU     := max
QEMU     = timeout 120 qemu-system-x86_64 -accel tcg,thread=single -cpu $(CPU) -m 128 -display none \
           -serial stdio -monitor none -nic none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4
CPUS_cross_cpu_code := 2
CPUS_lock_counters  := 4
cpus     = $(or $(CPUS_$(1)),1)
say      = printf '%-34s %s\n'

CHECK_SBE := $(SBE:$(BUILD)/sbe/%.elf=check-sbe-%)
.PHONY: $(CHECK_SBE)
$(CHECK_SBE): check-sbe-%: $(BUILD)/sbe/%.elf
	@mkdir -p $(BUILD)/qemu
	@$(QEMU) -smp $(call cpus,$*) -kernel $< -append 'quirks=tcg cpus=$(call cpus,$*)' \
	    > $(BUILD)/qemu/$*.txt; rc=$$?; \
	$(say) $* "$$(tail -n 1 $(BUILD)/qemu/$*.txt)"; \
	[ $$rc = 33 ] && grep -q '^DONE .* 0 failed' $(BUILD)/qemu/$*.txt || \
	    { grep '^FAIL' $(BUILD)/qemu/$*.txt; exit 1; }

# How QEMU is to be told to boot each image; what it cannot load itself goes through oracle/chain.c.
chained  = -kernel $(CHAIN) -initrd $(BUILD)/boot/$(1) -append enter=$(2)
HOW_multiboot1        = -kernel $(BUILD)/boot/multiboot1.elf -append 'quiet 1'
HOW_multiboot1_kludge = -kernel $(BUILD)/boot/multiboot1_kludge.bin -append 'quiet 1'
HOW_pvh               = -kernel $(BUILD)/boot/pvh.elf -append 'quiet 1'
HOW_bzimage           = -kernel $(BUILD)/boot/bzimage.bin -append 'quiet 1'
HOW_bzimage64         = $(call chained,bzimage.bin,linux64)
HOW_elf32             = $(call chained,elf32.elf,elf)
HOW_elf64             = $(call chained,elf64.elf,elf)
HOW_flat32            = $(call chained,flat.bin,flat32)
HOW_flat64            = $(call chained,flat.bin,flat64)
HOW_rom               = -bios $(BUILD)/boot/rom.bin
HOW_bootsector        = -drive format=raw,if=floppy,read-only=on,file=$(BUILD)/boot/bootsector.bin
HOW_flat16            = -drive format=raw,if=floppy,read-only=on,file=$(BUILD)/qemu/flat.img
HOW_multiboot2        = -cdrom $(BUILD)/qemu/multiboot2.iso
HOW_multiboot1_elf64  = -cdrom $(BUILD)/qemu/multiboot1_elf64.iso
SAYS_multiboot1       = hello from multiboot1
SAYS_multiboot1_kludge = hello from multiboot1 a.out kludge
SAYS_multiboot1_elf64 = hello from multiboot1 elf64
SAYS_multiboot2       = hello from multiboot2
SAYS_pvh              = hello from pvh
SAYS_bzimage          = hello from bzImage 32-bit entry
SAYS_bzimage64        = hello from bzImage 64-bit entry
SAYS_elf32            = hello from elf32
SAYS_elf64            = hello from elf64
SAYS_flat16           = hello from flat binary
SAYS_flat32           = hello from flat binary
SAYS_flat64           = hello from flat binary
SAYS_rom              = hello from reset vector
SAYS_bootsector       = hello from boot sector

CHECK_BOOT := $(patsubst SAYS_%,check-boot-%,$(filter SAYS_%,$(.VARIABLES)))
CHECK_GRUB := check-boot-multiboot2 check-boot-multiboot1_elf64
.PHONY: $(CHECK_BOOT) check-qemu check-grub
$(CHECK_BOOT): check-boot-%: $(BOOT) $(CHAIN)
	@mkdir -p $(BUILD)/qemu
	@$(QEMU) $(HOW_$*) > $(BUILD)/qemu/boot-$*.txt 2>&1; rc=$$?; \
	$(say) $* "$$(grep -a -A 1 'hello from' $(BUILD)/qemu/boot-$*.txt | tr -d '\r' | tr '\n' ' ')"; \
	[ $$rc = 0 ] && grep -aq '$(SAYS_$*)' $(BUILD)/qemu/boot-$*.txt

# BIOS floppy around the flat binary: sector-sized, signed.
check-boot-flat16: $(BUILD)/qemu/flat.img
$(BUILD)/qemu/flat.img: $(BUILD)/boot/flat.bin
	@mkdir -p $(@D)
	cp $< $@ && truncate -s 510 $@ && printf '\125\252' >> $@
# GRUB (grub-pc-bin, xorriso, mtools) is the oracle for what only it loads.
$(CHECK_GRUB): check-boot-%: $(BUILD)/qemu/%.iso
$(BUILD)/qemu/%.iso: $(BUILD)/boot/%.elf
	@mkdir -p $(BUILD)/qemu/$*/boot/grub
	cp $< $(BUILD)/qemu/$*/kernel
	printf 'set timeout=0\nmenuentry guest { %s /kernel quiet 1\nboot }\n' \
	    $(if $(findstring 2,$*),multiboot2,multiboot) > $(BUILD)/qemu/$*/boot/grub/grub.cfg
	grub-mkrescue -o $@ $(BUILD)/qemu/$* 2> $(BUILD)/qemu/$*.log

CHECK_FAULTS := $(FAULTS:$(BUILD)/faults/%.elf=check-faults-%)
.PHONY: $(CHECK_FAULTS)
# A dying guest must come as far as its last words; QEMU then resets or hangs, with nothing to compare.
$(CHECK_FAULTS): check-faults-%: $(BUILD)/faults/%.elf
	@mkdir -p $(BUILD)/qemu
	@$(subst timeout 120,timeout 5,$(QEMU)) -kernel $< > $(BUILD)/qemu/faults-$*.txt 2>&1; \
	$(say) $* "$$(grep '^dying' $(BUILD)/qemu/faults-$*.txt)"; grep -q '^dying by' $(BUILD)/qemu/faults-$*.txt

check-qemu: $(CHECK_SBE) $(filter-out $(CHECK_GRUB),$(CHECK_BOOT)) $(CHECK_FAULTS)
check-grub: $(CHECK_GRUB)
